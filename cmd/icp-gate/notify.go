package main

import (
	"log/slog"
	"net"
	"os"
)

// notify tells a service manager how the program is, where one wants to know
// (sd_notify(3)): "READY=1", or "MAINPID=N" when another process has taken over.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	c, err := net.Dial("unixgram", path)
	if err == nil {
		defer c.Close()
		_, err = c.Write([]byte(state))
	}
	if err != nil {
		slog.Warn("the service manager could not be told", "state", state, "error", err)
	}
}
