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
	"normal", "i/o error", "timeout", "frame too big", "invalid frame", "no supported-versions", "no max-frame-size", "no capabilities",
	"unsupported version", "max-frame-size too small", "fragmentation not supported", "invalid interlaced frames", "frame-id not found",
	"resource allocation error",
}

// String returns a few words for s.
func (s Status) String() string {
	if int(s) < len(statusWords) {
		return statusWords[s]
	}
	return "unknown error"
}
