package gate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// certificates are those of a listener, by the names that they are for. They are
// read anew when a file changes; while the new ones cannot be read, the old ones
// serve. Safe for concurrent use.
type certificates struct {
	files []Certificate
	set   atomic.Pointer[certificateSet]

	mu     sync.Mutex // held to look at the files
	stamps []fileStamp
}

// certificateSet is what the files hold.
type certificateSet struct {
	byName map[string]*tls.Certificate // lower case; "*.example.com" for all one label below
	first  *tls.Certificate
}

// fileStamp tells that a file is another.
type fileStamp struct {
	at   time.Time
	size int64
}

// openCertificates reads the files.
func openCertificates(files []Certificate) (*certificates, error) {
	c := &certificates{files: files}
	c.stamps = c.stampAll()
	set, err := c.read()
	if err != nil {
		return nil, err
	}
	c.set.Store(set)
	return c, nil
}

// refresh reads the files anew if one has changed. An error leaves what was.
func (c *certificates) refresh() (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := c.stampAll()
	if equalStamps(stamps, c.stamps) {
		return false, nil
	}
	set, err := c.read()
	c.stamps = stamps
	if err != nil {
		return true, err
	}
	c.set.Store(set)
	return true, nil
}

func (c *certificates) stampAll() (list []fileStamp) {
	for _, f := range c.files {
		for _, path := range []string{f.Cert, f.Key} {
			var s fileStamp
			if info, err := os.Stat(path); err == nil {
				s = fileStamp{info.ModTime(), info.Size()}
			}
			list = append(list, s)
		}
	}
	return list
}

func equalStamps(a, b []fileStamp) bool {
	for i := range a {
		if !a[i].at.Equal(b[i].at) || a[i].size != b[i].size {
			return false
		}
	}
	return true
}

func (c *certificates) read() (*certificateSet, error) {
	set := &certificateSet{byName: map[string]*tls.Certificate{}}
	for _, f := range c.files {
		cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %q with key %q: %w", f.Cert, f.Key, err)
		}
		if cert.Leaf == nil {
			if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
				return nil, fmt.Errorf("certificate %q: %w", f.Cert, err)
			}
		}
		set.add(&cert)
	}
	return set, nil
}

// add files a certificate under its names; the first one that has a name keeps it.
func (s *certificateSet) add(cert *tls.Certificate) {
	if s.first == nil {
		s.first = cert
	}
	names := cert.Leaf.DNSNames
	for _, ip := range cert.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	for _, name := range names {
		name = strings.ToLower(name)
		if s.byName[name] == nil {
			s.byName[name] = cert
		}
	}
}

// find returns the certificate for a name in lower case; nil if there is none.
func (c *certificates) find(name string) *tls.Certificate {
	set := c.set.Load()
	if cert := set.byName[name]; cert != nil {
		return cert
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		return set.byName["*."+parent]
	}
	return nil
}

// forHello returns the certificate for a hello: of its name, or the first one
// where it names nobody.
func (c *certificates) forHello(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if h.ServerName == "" {
		return c.set.Load().first, nil
	}
	// Without one, crypto/tls sends the alert unrecognized_name.
	return c.find(strings.ToLower(strings.TrimSuffix(h.ServerName, "."))), nil
}
