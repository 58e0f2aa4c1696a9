package gate

// intake is what was read of a client and not used yet. The zero value is nothing,
// and holds no buffer. It is for one goroutine.
type intake struct {
	in *[]byte // nil is nothing
	at int     // where in it that begins
}

// begin takes over what was read of a connection before.
func (q *intake) begin(c *conn) {
	if len(c.head) > 0 {
		b := append((*lend())[:0], c.head...)
		q.in, c.head = &b, nil
	}
}

// pending are the bytes that nobody has used yet.
func (q *intake) pending() []byte {
	if q.in == nil {
		return nil
	}
	return (*q.in)[q.at:]
}

// use steps over n of them.
func (q *intake) use(n int) {
	if q.at += n; q.in != nil && q.at == len(*q.in) {
		q.empty()
	}
}

// compact moves what is pending to the beginning of its buffer, for more to come.
func (q *intake) compact() {
	if q.in != nil && q.at > 0 {
		n := copy(*q.in, (*q.in)[q.at:])
		*q.in, q.at = (*q.in)[:n], 0
	}
}

// empty gives the buffer back with all that is in it.
func (q *intake) empty() {
	if q.in != nil {
		giveBack(q.in)
		q.in, q.at = nil, 0
	}
}
