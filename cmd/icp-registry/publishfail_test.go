package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // breaks the database
)

// TestPublishingFails: a command that publishes ends with the error of the service,
// and the import goes on when that is mended.
func TestPublishingFails(t *testing.T) {
	dir := t.TempDir()
	where := []string{"--dir", filepath.Join(dir, "registry")}
	token(t, dir, "ann", "read,import", where...)
	_, url := startServe(t, append([]string{"--listen", "127.0.0.1:0"}, where...)...)
	r := &remote{t, url, dir}
	// The service may be writing at the moment: this waits for it.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "registry", "registry.db")+"?_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	breaks := func(query string) {
		t.Helper()
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	// The fourth part of the import cannot be written.
	breaks("CREATE TRIGGER broken BEFORE INSERT ON change WHEN NEW.rev > 3 BEGIN SELECT RAISE(ABORT, 'it is broken'); END")
	list := "domain,status\n"
	for i := range 1500 {
		list += fmt.Sprintf("n%d.example,normal\n", i)
	}
	path := filepath.Join(dir, "list.csv")
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "icp-registry", "import", path, "--why", "a list", "--yes", "--server", url, "--token-file", filepath.Join(dir, "ann.txt"))
	out, err := cmd.CombinedOutput()
	text := string(out)
	if ctx.Err() != nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(text, "could not be done") || !strings.Contains(text, "goes on") {
		t.Fatalf("got %v, exit code %d (%v): %s; want the service's error", err, cmd.ProcessState.ExitCode(), ctx.Err(), text)
	}
	id := importID.FindString(text)
	if out := r.as("ann", 0, "import", "show", id); !strings.Contains(out, "publishing") || !strings.Contains(out, "3/8") {
		t.Errorf("got %s; want three of eight parts", out)
	}
	breaks("DROP TRIGGER broken")
	if out := r.as("ann", 0, "import", "publish", id); !strings.Contains(out, "done") {
		t.Errorf("got %s; want it done", out)
	}
}
