//go:build !unix

package main

import (
	"errors"
	"os"
	"syscall"

	"github.com/icpgate/icpgate/gate"
)

// Signals that this system does not have.
const (
	reloadSignal  = syscall.Signal(-1)
	restartSignal = syscall.Signal(-2)
)

var signalsTaken = []os.Signal{os.Interrupt, syscall.SIGTERM}

func startAnew(*gate.Gate) error { return errors.New("sockets cannot be handed over on this system") }

func tellReady() {}
