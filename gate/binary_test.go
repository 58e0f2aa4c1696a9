package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// built is the program, built once for all tests that run it.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "icp-gate-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "icp-gate")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/icp-gate").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	state, err := os.MkdirTemp("", "icp-gate-state")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_STATE_HOME", state)
	code := m.Run()
	os.RemoveAll(state)
	if path, err := built(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// program is a running icp-gate.
type program struct {
	dir   string
	cmd   *exec.Cmd
	addrs map[string]string // by listener, as it says itself
	log   *logged
}

// logged is what a program has said.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // told of every line
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the program has said what matches.
func (l *logged) await(t testing.TB, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		if m := re.FindStringSubmatch(l.String()); m != nil {
			return m
		}
		if _, ok := <-l.more; !ok {
			t.Fatalf("the program has ended without %q; it said:\n%s", pattern, l)
		}
	}
}

// icpBlock is the block of all tests: filed.example is filed and accessed here,
// elsewhere.example is accessed with another provider.
const icpBlock = `
    icp {
        registry registry.icp
        provider aliyun
    }
    serves mainland
`

// start runs a configuration, in which ICP stands for the icp block, in a
// directory of its own with a registry. listeners is how many it opens.
func start(t testing.TB, listeners int, config string, files map[string]string) *program {
	t.Helper()
	return startBy(t, nil, listeners, config, files)
}

// startBy is start by another program, to whose arguments the command is added.
func startBy(t testing.TB, by []string, listeners int, config string, files map[string]string) *program {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{dir: t.TempDir(), addrs: map[string]string{}, log: &logged{more: make(chan struct{}, 1000)}}
	p.writeRegistry(t, 1, filing("filed.example", registry.Aliyun), filing("elsewhere.example", registry.Tencent))
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.write(t, config)
	command := append(by[:len(by):len(by)], path, "-conf", filepath.Join(p.dir, "gate.conf"))
	p.cmd = exec.Command(command[0], command[1:]...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.log.read(stderr)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.killSuccessors()
		<-done
		_ = p.cmd.Wait()
	})
	for i := 1; i <= listeners; i++ {
		m := p.log.await(t, fmt.Sprintf(`(?s)(?:msg=serving.*?){%d}`, i))
		_ = m
	}
	for _, m := range regexp.MustCompile(`msg=serving listener="?([^"]*?)"? address=(\S+)`).FindAllStringSubmatch(p.log.String(), -1) {
		p.addrs[m[1]] = m[2]
	}
	return p
}

// killSuccessors kills what the program has started anew: the processes with its
// configuration, which no other has.
func (p *program) killSuccessors() {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		text, _ := os.ReadFile(line)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if err == nil && strings.Contains(string(text), filepath.Join(p.dir, "gate.conf")) {
			if started, err := os.FindProcess(pid); err == nil {
				_ = started.Kill()
			}
			for len(text) > 0 { // until it is gone, or it might still write
				text, _ = os.ReadFile(line)
			}
		}
	}
}

func (l *logged) read(r io.Reader) {
	for s := bufio.NewScanner(r); s.Scan(); {
		l.mu.Lock()
		l.text.WriteString(s.Text() + "\n")
		l.mu.Unlock()
		select {
		case l.more <- struct{}{}:
		default:
		}
	}
	close(l.more)
}

func (p *program) write(t testing.TB, config string) {
	t.Helper()
	text := strings.ReplaceAll(config, "ICP", icpBlock)
	if err := os.WriteFile(filepath.Join(p.dir, "gate.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *program) writeRegistry(t testing.TB, rev uint64, filings ...registry.Filing) {
	t.Helper()
	if err := index.WriteFile(filepath.Join(p.dir, "registry.icp"), newIndex(t, rev, filings...)); err != nil {
		t.Fatal(err)
	}
}

// addr is the address of the only listener whose name begins so.
func (p *program) addr(t testing.TB, prefix string) string {
	t.Helper()
	for name, addr := range p.addrs {
		if strings.HasPrefix(name, prefix) {
			return addr
		}
	}
	t.Fatalf("no listener %s among %v", prefix, p.addrs)
	return ""
}
