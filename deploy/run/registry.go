package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/store"
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
	if err := fill(ctx, c.dir, "deploy/sample/filings.csv"); err != nil {
		return nil, fmt.Errorf("could not make the sample registry: %w", err)
	}
	if err := c.token("edges", c.edgeToken(), "edge"); err != nil {
		return nil, err
	}
	if err := c.token("staff", c.staffToken(), "read", "write", "import", "coverage", "feed"); err != nil {
		return nil, err
	}
	port := registryPort
	if !free("127.0.0.1:" + port) {
		if port, err = anyPort(); err != nil {
			return nil, err
		}
	}
	c.url = "http://127.0.0.1:" + port
	c.program, err = start(bin, "icp-registry", logs, "serve", "--dir", c.dir, "--listen", "127.0.0.1:"+port)
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
	args := []string{"token", "create", owner, "--dir", c.dir}
	for _, s := range scopes {
		args = append(args, "--scope", s)
	}
	secret, err := exec.Command(filepath.Join(c.bin, "icp-registry"), args...).Output()
	if err != nil {
		return fmt.Errorf("could not make a token (hint: `make build` builds icp-registry): %w", err)
	}
	return os.WriteFile(path, secret, 0o600)
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

// fill imports filings into a new registry.
func fill(ctx context.Context, dir string, files ...string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	key, err := store.ReadOrMakeKey(filepath.Join(dir, "personal.key"))
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, filepath.Join(dir, "registry.db"), store.Options{Now: time.Now, Key: key, What: "make run"})
	if err != nil {
		return err
	}
	defer s.Close()
	by := store.By{Who: "make run", Why: "the sample"}
	i, err := s.Stage(ctx, by, store.ImportOptions{Source: "deploy/sample"}, func(adder func() func(registry.Filing) error) error {
		_, err := bulk.ImportShared(ctx, files, bulk.Options{Now: time.Now(), Strict: true}, adder)
		return err
	})
	if err != nil {
		return err
	}
	_, err = s.Publish(ctx, i.ID, nil)
	return err
}

// advice is what the user can try on the registry itself.
func (c *center) advice(d *server, g *gate) string {
	return fmt.Sprintf(`
icp-registry keeps the registry and serves it to both on %s:

  curl -H "Authorization: Bearer $(cat %s)" %s/v1/edges   # how they are
`, c.url, c.staffToken(), c.url)
}
