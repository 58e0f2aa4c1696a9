package spop

// Ack is the answer to a NOTIFY while it is made: what HAProxy is to set for the
// transaction. What would make the frame longer than was agreed is left out.
type Ack struct {
	b     []byte
	start int // where its frame begins
	max   int // of the frame
}

// setVar is the action that sets a variable, with three arguments.
const (
	setVar     = 1
	setVarArgs = 3
	// scopeTransaction: the variable is the request's; of a connection in mode tcp,
	// it is the connection's.
	scopeTransaction = 2
)

// SetBool sets a variable. It reports whether there was room.
func (a *Ack) SetBool(name string, v bool) bool {
	if !a.fits(name, 1) {
		return false
	}
	d := byte(Bool)
	if v {
		d |= boolTrue
	}
	a.begin(name)
	a.b = append(a.b, d)
	return true
}

// SetString sets a variable. It reports whether there was room.
func (a *Ack) SetString(name, v string) bool {
	if !a.fits(name, 1+varintLen(uint64(len(v)))+len(v)) {
		return false
	}
	a.begin(name)
	a.b = appendString(a.b, v)
	return true
}

// SetBytes is SetString.
func (a *Ack) SetBytes(name string, v []byte) bool {
	if !a.fits(name, 1+varintLen(uint64(len(v)))+len(v)) {
		return false
	}
	a.begin(name)
	a.b = appendText(append(a.b, byte(String)), v)
	return true
}

// fits reports whether a variable with a value of so many bytes has room.
func (a *Ack) fits(name string, value int) bool {
	const action = 3 // its type, the number of arguments, the scope
	used := len(a.b) - a.start - lengthSize
	return used+action+varintLen(uint64(len(name)))+len(name)+value <= a.max
}

func (a *Ack) begin(name string) {
	a.b = append(a.b, setVar, setVarArgs, scopeTransaction)
	a.b = appendText(a.b, name)
}
