package gate_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSocketAccess: who may connect to a unix socket is what the configuration says,
// also when it is read anew.
func TestSocketAccess(t *testing.T) {
	const conf = "auth://unix:a.sock {\nICP\n%s\n}"
	for lines, want := range map[string]string{"socket 0600": "-rw-------", "socket 0666": "-rw-rw-rw-", "socket 660 " + fmt.Sprint(os.Getegid()): "-rw-rw----"} {
		p := start(t, 1, fmt.Sprintf(conf, lines), nil)
		sock := filepath.Join(p.dir, "a.sock")
		if got := permissions(t, sock); got != want {
			t.Errorf("%s: %s; want %s", lines, got, want)
		}
		p.write(t, fmt.Sprintf(conf, "socket 0622"))
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new access", func() bool { return permissions(t, sock) == "-rw--w--w-" })
	}
}

func permissions(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return (info.Mode() & fs.ModePerm).String()
}

// TestSocketGroup: members of the group may connect, and no others.
func TestSocketGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can ask as somebody else")
	}
	const group, another = 65501, 65502
	sock := socketPath(t)
	start(t, 1, fmt.Sprintf("auth://unix:%s {\nICP\nsocket 0660 %d\n}", sock, group), nil)
	for gid, want := range map[uint32]string{group: "204", another: "000"} {
		curl := exec.Command("curl", "-s", "-o", os.DevNull, "-w", "%{http_code}", "-H", "X-Forwarded-Host: filed.example", "--unix-socket", sock, "http://icp/auth/nginx")
		curl.SysProcAttr = asUser(65534, gid)
		out, _ := curl.Output()
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("group %d: %s; want %s", gid, got, want)
		}
	}
}
