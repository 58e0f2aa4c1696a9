package index

// count adds up what the header tells and how long the records section will be.
func (s *share) count(group []entry) {
	addr, body := s.body(group)
	if addr {
		s.addrs++
	} else if len(filed(group)) > 0 {
		s.names++
	}
	s.recordsN += groupSize(len(body))
}

// body puts together what the records section has of one name: the name, and a
// record for each filing. It is the item itself where there is but one.
func (c *compiler) body(group []entry) (addr bool, body []byte) {
	own := filed(group)
	if len(own) == 0 {
		return false, appendName(nil, c.specials[group[0].sum].name.String())
	}
	first := c.item(own[0])
	addr, body = first[0]&groupAddr != 0, first[1:]
	for i, e := range own[1:] {
		if i == 0 {
			body = append([]byte(nil), body...)
		}
		item := c.item(e)
		body = append(body, item[itemHead(item):]...)
	}
	return addr, body
}

// itemHead is how long kind and name at the front of an item are.
func itemHead(item []byte) int {
	r := reader{b: item[1:]}
	if item[0]&groupAddr != 0 {
		r.bytes(16)
	} else {
		r.front()
	}
	return len(item) - len(r.b)
}
