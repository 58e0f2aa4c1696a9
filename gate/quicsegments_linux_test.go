package gate_test

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// joinedByKernel sends three datagrams in one call, which the kernel does not cut
// apart before the gate reads them (UDP_SEGMENT, UDP_GRO).
func joinedByKernel(t *testing.T) string {
	q := newQUICRaw(t, "")
	all := slices.Concat(quicInitial("filed.example", []byte("the first")), quicInitial("unfiled.example", []byte("the second")), quicInitial("www.filed.example", []byte("the third")))
	oob := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], 1200)
	if _, _, err := q.client.(*net.UDPConn).WriteMsgUDP(all, oob, nil); err != nil {
		t.Skipf("the kernel has no UDP_SEGMENT: %v", err)
	}
	return q.sent()
}
