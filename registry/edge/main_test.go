package edge_test

import (
	"os"
	"testing"
)

// TestMain keeps the tests out of the user's own state directory.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "edge-state-*")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_STATE_HOME", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
