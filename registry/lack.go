package registry

// Lack is why a verdict is undecided (无法判定的原因). The zero value is that nothing
// is lacking. It is a value.
type Lack uint8

// The lacks.
const (
	LackNothing   Lack = iota
	LackRegistry       // none was ever loaded
	LackFreshness      // it is older than max-stale allows
	LackAnswer         // in thin mode: the service did not answer in time
)

var lackWords = words{"none", "no-registry", "registry-stale", "registry-unanswered"}

// String returns the word of l.
func (l Lack) String() string { return lackWords.of(uint8(l)) }

// MarshalText writes the word of l.
func (l Lack) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
