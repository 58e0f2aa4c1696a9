package spop

// Status is why a connection ends, as both sides tell each other. The zero value
// is a normal end.
type Status uint32

// The statuses, with their numbers in the protocol.
const (
	Normal          Status = 0
	IOError         Status = 1
	Timeout         Status = 2
	TooBig          Status = 3
	Invalid         Status = 4
	NoVersion       Status = 5
	NoMaxFrameSize  Status = 6
	NoCapabilities  Status = 7
	BadVersion      Status = 8
	BadMaxFrameSize Status = 9
	Fragmented      Status = 10
	Interlaced      Status = 11
	NoFrameID       Status = 12
	NoResources     Status = 13
	Unknown         Status = 99
)

var statusWords = [...]string{
	"normal", "io-error", "timeout", "frame-too-big", "invalid-frame", "no-version", "no-max-frame-size", "no-capabilities",
	"bad-version", "bad-max-frame-size", "no-fragmentation", "interlaced-frames", "no-frame-id", "no-resources",
}

// String returns the word of s, that of Unknown for what the protocol does not
// know: there are few.
func (s Status) String() string {
	if int(s) < len(statusWords) {
		return statusWords[s]
	}
	return "unknown"
}
