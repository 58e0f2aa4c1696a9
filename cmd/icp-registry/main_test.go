package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/icpgate/icpgate/registry/store/storetest"
)

// stopping ends the PostgreSQL that tests may have started.
type stopping struct{ *testing.M }

// Run implements testscript.TestingM.
func (s stopping) Run() int {
	defer storetest.Stop()
	return s.M.Run()
}

func TestMain(m *testing.M) {
	testscript.Main(stopping{m}, map[string]func(){"icp-registry": main})
}

// TestScripts runs the commands as a person does. Beside the usual words a
// script has:
//
//	gb18030 FROM TO    writes a UTF-8 file in GB18030
//	copycases TO       copies the rule book's cases
//	code N COMMAND...  the command must end with exit code N
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LC_ALL", "C")
			e.Setenv("ICP_REGISTRY", "")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"gb18030": gb18030, "copycases": copyCases, "code": code,
		},
	})
}

func gb18030(ts *testscript.TestScript, _ bool, args []string) {
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
}

func copyCases(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(casesFile)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// interruptIgnored: who started the tests has the interrupt ignored, as shells do of
// what runs in the background. It cannot be told any more once a test has listened.
var interruptIgnored = signal.Ignored(os.Interrupt)

// TestASignalEndsTestRules: while it waits for its input as well.
func TestASignalEndsTestRules(t *testing.T) {
	cmd := exec.Command("icp-registry", "test-rules", "-")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	fmt.Fprintln(in, "{") // what it says of this shows that it is reading
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("got %q, %v; want a line", line, err)
	}
	sig, want := os.Signal(os.Interrupt), "signal: interrupt"
	if interruptIgnored {
		sig, want = syscall.SIGTERM, "signal: terminated"
	}
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err == nil || err.Error() != want {
		t.Errorf("got %v; want it ended by the signal", err)
	}
}

// casesFile is absolute, since scripts run in folders of their own.
var casesFile = func() string {
	path, err := filepath.Abs("../../registry/testdata/cases.jsonl")
	if err != nil {
		panic(err)
	}
	return path
}()

func code(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "exit status 0"
	if err != nil {
		got = err.Error()
	}
	if want := "exit status " + args[0]; got != want {
		ts.Fatalf("%s: got %s; want %s", strings.Join(args[1:], " "), got, want)
	}
}
