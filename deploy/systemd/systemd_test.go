package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// units writes the units into a directory of this test, with programs that were
// built for it, and returns their files.
func units(t *testing.T) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/bin/", "../../cmd/coredns", "../../cmd/icp-gate", "../../cmd/icp-registry").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	sources, err := filepath.Glob("*.service")
	if err != nil || len(sources) != 3 {
		t.Fatalf("units %q, %v; want three", sources, err)
	}
	places := strings.NewReplacer("/usr/local/bin", dir+"/bin", "/etc/", dir+"/etc/", " /var/lib/", " "+dir+"/lib/")
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, source)
		if err := os.WriteFile(file, []byte(places.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return dir, files
}

// TestUnits: systemd understands all that stands in the units, what it keeps the
// programs from leaves little, and the programs take the arguments that they are given.
func TestUnits(t *testing.T) {
	dir, files := units(t)
	t.Run("read by systemd", func(t *testing.T) { verify(t, files) })
	t.Run("commands", func(t *testing.T) { commands(t, dir) })
}

func verify(t *testing.T, files []string) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("REQUIRE_PEERS") == "1" {
			t.Fatal(err)
		}
		t.Skip("systemd-analyze is missing (on Debian: apt-get install systemd)")
	}
	for _, file := range files {
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput()
		if text := strings.TrimSpace(string(out)); err != nil || strings.Contains(text, filepath.Base(file)) {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, text)
		}
		// Tenths of systemd's own measure of exposure; a service that says nothing has 96.
		out, err = exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, out)
		}
	}
}

// command returns the n-th command of a unit under a key.
func command(t *testing.T, file, key string, n int) *exec.Cmd {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^`+key+`=(.+)$`).FindAllStringSubmatch(string(text), -1)
	if len(lines) <= n {
		t.Fatalf("%s: %d lines %s", file, len(lines), key)
	}
	words := strings.Fields(lines[n][1])
	return exec.Command(words[0], words[1:]...)
}

func commands(t *testing.T, dir string) {
	for name, text := range map[string]string{
		"etc/icp-gate/gate.conf": "http://127.0.0.1:0 {\nicp {\nregistry " + dir + "/registry.icp\n}\nserves mainland\nupstream 127.0.0.1:9\n}\n",
		"etc/coredns/Corefile":   ".:0 {\nicp {\n}\n}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := filepath.Join(dir, "list.csv")
	if err := os.WriteFile(list, []byte("domain\nexample.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(dir+"/bin/icp-registry", "import", list, "-o", dir+"/registry.icp").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, tt := range []struct {
		unit, key string
		wants     string
	}{
		{"icp-gate.service", "ExecReload", "gate.conf: 1 server blocks, all is well"},
		// Neither has what it needs to serve: they say what, so all before that was right.
		{"icp-registry.service", "ExecStart", dir + "/etc/icp-registry/cert.pem: no such file"},
		{"coredns.service", "ExecStart", dir + "/etc/coredns/Corefile:3"},
	} {
		out, _ := command(t, filepath.Join(dir, tt.unit), tt.key, 0).CombinedOutput()
		if !strings.Contains(string(out), tt.wants) {
			t.Errorf("%s, %s: it said %q; want %q", tt.unit, tt.key, out, tt.wants)
		}
	}
}
