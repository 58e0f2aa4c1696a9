package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// registryPort is where the registry listens, unless somebody else does.
const registryPort = "10086"

// center is the registry of record, with icp-registry serving it.
type center struct {
	*program
	bin, dir string
	url      string
}

// startCenter makes a registry of the sample filings, each time anew, and serves it.
func startCenter(ctx context.Context, bin string, logs io.Writer) (c *center, err error) {
	c = &center{bin: bin}
	if c.dir, err = filepath.Abs(filepath.Join(bin, "sample", "registry")); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return nil, err
	}
	if _, err := c.run("import", "deploy/sample/filings.csv", "--yes", "--why", "the sample"); err != nil {
		return nil, err
	}
	if err := c.token("edges", c.edgeToken(), "edge"); err != nil {
		return nil, err
	}
	if err := c.token("staff", c.staffToken(), "read", "write", "import", "coverage", "feed"); err != nil {
		return nil, err
	}
	port := registryPort
	if !free(net.JoinHostPort(host, port)) {
		if port, err = anyPort(); err != nil {
			return nil, err
		}
	}
	c.url = "http://" + net.JoinHostPort(host, port)
	c.program, err = start(bin, "icp-registry", logs, "serve", "--dir", c.dir, "--listen", net.JoinHostPort(host, port), "--provider", "cloud-a")
	if err != nil {
		return nil, err
	}
	if err := c.await(ctx, "get ready", c.ready); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *center) edgeToken() string  { return filepath.Join(c.dir, "edges.token") }
func (c *center) staffToken() string { return filepath.Join(c.dir, "staff.token") }

// token makes a token and puts it into a file.
func (c *center) token(owner, path string, scopes ...string) error {
	args := []string{"token", "create", owner}
	for _, s := range scopes {
		args = append(args, "--scope", s)
	}
	secret, err := c.run(args...)
	if err != nil {
		return err
	}
	return os.WriteFile(path, secret, 0o600)
}

// run runs a command on the registry itself and returns what it prints.
func (c *center) run(args ...string) ([]byte, error) {
	cmd := exec.Command(filepath.Join(c.bin, "icp-registry"), append(args, "--dir", c.dir)...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("icp-registry %s failed (hint: `make build` builds it): %w\n%s", args[0], err, complaint.String())
	}
	return out, nil
}

// ready asks whether the registry can be followed.
func (c *center) ready(ctx context.Context) error {
	return answers(ctx, c.url+"/readyz", http.StatusOK)
}

// answers asks a URL for a status.
func answers(ctx context.Context, url string, status int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: time.Second}).Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != status {
		return errors.New(resp.Status)
	}
	return nil
}

// followed is what an edge writes after the word "registry" to follow this one.
func (c *center) followed() string {
	return fmt.Sprintf("%s key %s token %s", c.url, filepath.Join(c.dir, "signing.pub.pem"), c.edgeToken())
}

// advice is what the user can try on the registry itself.
func (c *center) advice(d *server, g *gate) string {
	program := "  " + filepath.Join(c.bin, "icp-registry")
	at := fmt.Sprintf("--server %s --token-file %s", c.url, filepath.Join(c.bin, "sample", "registry", filepath.Base(c.staffToken())))
	return fmt.Sprintf(`
icp-registry keeps the registry and serves it to both, on %[1]s. Change a filing, and within a second both know:

%[2]s set example.org --provider cloud-a --why "moves to us" %[3]s
%[4]swww.example.org A   # accessed here now: 203.0.113.10
%[5]swww.example.org/   # the web server answers
%[2]s cancel example.org --provider cloud-a --why "moves away" %[3]s
%[4]swww.example.org A   # no address any more, EDE 16 "icp: access cancelled here"

and ask it why, who changed what, and how the edges are:

%[2]s explain www.example.net %[3]s
%[2]s history example.org %[3]s
%[2]s edges %[3]s
`, c.url, program, at, d.dig(), g.curl())
}
