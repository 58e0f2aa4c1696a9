package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PinSelf has this process, and what it starts without another word, run on one
// core, by starting it anew. variable tells the second one that it is.
func PinSelf(core, variable string) error {
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return errors.New("taskset is missing (on Debian: apt-get install util-linux)")
	}
	if os.Getenv(variable) != "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"taskset", "-c", core, self}, os.Args[1:]...)
	return syscall.Exec(taskset, args, append(os.Environ(), variable+"=1"))
}

// CPU returns the time that the threads of a process have run, to the nanosecond:
// utime and stime are counted in ticks.
func CPU(pid int) (sum time.Duration, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err == nil && len(tasks) == 0 {
		err = fmt.Errorf("process %d has ended, or the kernel keeps no schedstat", pid)
	}
	if err != nil {
		return 0, err
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) {
			continue // a thread that has ended since
		}
		if err != nil {
			return 0, err
		}
		ran, _, _ := strings.Cut(string(b), " ")
		n, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// Cost has a load run and returns the CPU-µs of a process for each operation, of
// which load returns the number.
func Cost(pid int, load func() (float64, error)) (float64, error) {
	before, err := CPU(pid)
	if err != nil {
		return 0, err
	}
	n, err := load()
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, errors.New("nothing was answered")
	}
	after, err := CPU(pid)
	return float64((after - before).Nanoseconds()) / 1000 / n, err
}
