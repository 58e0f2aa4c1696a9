package extauthz

import (
	"errors"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/icpgate/icpgate/gate/authz"
)

// codec reads checks and writes replies by itself, and leaves all else (health,
// reflection) to the one for protobuf.
type codec struct {
	encoding.CodecV2
	names *authz.Names
}

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name), authz.NewNames()} }

// asked is a check as the service gets it.
type asked struct {
	q authz.Question
	r authz.Reader
}

// reply is an answer as it goes out.
type reply []byte

// errMessage is why a check is refused as a whole.
var errMessage = errors.New("it is no message of protobuf")

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	a, ok := v.(*asked)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	b := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer b.Free()
	var m message
	if !m.read(b.ReadOnlyData()) {
		return errMessage
	}
	a.q, a.r = m.question(c.names)
	return nil
}

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(reply); ok {
		return mem.BufferSlice{mem.SliceBuffer(r)}, nil
	}
	return c.CodecV2.Marshal(v)
}
