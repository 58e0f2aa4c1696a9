//go:build !linux

package gate_test

import "testing"

func joinedByKernel(t *testing.T) string {
	t.Skip("only Linux joins datagrams")
	return ""
}
