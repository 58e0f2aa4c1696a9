package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// samples is how many names of each sort are looked at before it is measured.
const samples = 50

// check makes sure that the proxy itself listens, and that it says yes and no
// where it should.
func (p *proxy) check(r role, w world) error {
	if _, err := p.listens(); err != nil {
		return err
	}
	if p.gone() {
		return errors.New("it has ended")
	}
	for i := range samples {
		for _, c := range []struct {
			name string
			pass bool
		}{{w.names()[i], true}, {w.unfiled()[i], false}} {
			var err error
			if r == roleSNI {
				err = connection(p.ports[r], hello(c.name), c.pass, make([]byte, 16<<10))
			} else {
				err = checkHTTP(p.ports[r], c.name, c.pass)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

// checkHTTP asks for a name and looks who answers.
func checkHTTP(port int, name string, pass bool) error {
	c, err := net.Dial("tcp", addr(port))
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(c, head, name, "close"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch fromOrigin := resp.Header.Get("X-Origin") != ""; {
	case pass && (!fromOrigin || resp.StatusCode != http.StatusOK):
		return fmt.Errorf("status %d instead of the origin's 200", resp.StatusCode)
	case !pass && (fromOrigin || resp.StatusCode != http.StatusForbidden):
		return fmt.Errorf("status %d instead of the proxy's 403", resp.StatusCode)
	}
	return nil
}
