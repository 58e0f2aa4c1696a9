//go:build !linux

package gate

import (
	"net"
	"testing"
)

// holdPort holds nothing: it finds a port that is not given to others.
func holdPort(t testing.TB) (string, error) {
	return belowGiven(t, func(addr string) error {
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			ln.Close()
		}
		return err
	}), nil
}
