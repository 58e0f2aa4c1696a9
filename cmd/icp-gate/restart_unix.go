//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/icpgate/icpgate/gate"
)

// The signals beside SIGTERM.
const (
	reloadSignal  = syscall.SIGUSR1
	restartSignal = syscall.SIGUSR2
)

var signalsTaken = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

// readyVariable names the descriptor on which a process that was started anew
// tells the one before it that it serves.
const readyVariable = "ICP_GATE_READY_FD"

// startTime is how long a process that was started anew may take to serve: a
// large registry is copied first.
const startTime = 60 * time.Second

// startAnew starts the program with the same arguments and the listening
// sockets, and waits until it serves. An error leaves this one as it was.
func startAnew(g *gate.Gate) error {
	const first = 3 // where exec.Cmd.ExtraFiles begin
	files, env, err := g.Files(first)
	if err != nil {
		return err
	}
	defer closeFiles(files)
	ready, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	path, err := os.Executable()
	if err != nil {
		tell.Close()
		return err
	}
	cmd := exec.Command(path, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = append(files[:len(files):len(files)], tell)
	cmd.Env = append(append(os.Environ(), env...), readyVariable+"="+strconv.Itoa(first+len(files)))
	err = cmd.Start()
	tell.Close()
	for _, f := range files {
		// Handing a file on makes it block, and with it the listener that goes on here
		// until the other one serves.
		_ = syscall.SetNonblock(int(f.Fd()), true)
	}
	if err != nil {
		return err
	}
	if err := awaitReady(ready); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("process %d: %w", cmd.Process.Pid, err)
	}
	notify("MAINPID=" + strconv.Itoa(cmd.Process.Pid))
	return cmd.Process.Release()
}

func awaitReady(ready *os.File) error {
	_ = ready.SetReadDeadline(time.Now().Add(startTime))
	var b [1]byte
	if _, err := ready.Read(b[:]); err != nil {
		return errors.New("it did not come to serve; its own words stand above")
	}
	return nil
}

// tellReady tells the process before this one that it may end.
func tellReady() {
	fd, err := strconv.Atoi(os.Getenv(readyVariable))
	if err != nil {
		return // there is none
	}
	os.Unsetenv(readyVariable)
	f := os.NewFile(uintptr(fd), "ready")
	_, _ = f.Write([]byte{1}) // it has ended by itself where this fails
	f.Close()
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
