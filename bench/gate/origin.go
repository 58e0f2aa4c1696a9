package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// origin is what stands behind the proxies: nginx for HTTP, and for TLS a server
// of our own that answers a hello with some bytes, since what is in it is
// nothing to a gate.
type origin struct {
	*process
	tls net.Listener
}

func serveOrigin(w world) (*origin, error) {
	dir := w.path("origin")
	ports, err := freePorts(roleHTTP)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxHead, dir) + fmt.Sprintf(`http {
    access_log off; sendfile on; tcp_nopush off; keepalive_timeout 300; keepalive_requests 100000000;
    server {
        listen 127.0.0.1:%d reuseport backlog=4096;
        root %s;
        add_header X-Origin bench;
    }
}
`, ports[roleHTTP], w.www())
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	p, err := run("origin", dir, loadCore, ports, "nginx", "-c", conf)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.stop()
		return nil, err
	}
	go serveHellos(l)
	return &origin{p, l}, nil
}

func (o *origin) stop() {
	o.tls.Close()
	o.process.stop()
}

func (o *origin) http() string    { return fmt.Sprintf("127.0.0.1:%d", o.ports[roleHTTP]) }
func (o *origin) tlsAddr() string { return o.tls.Addr().String() }
func tlsRecord(size int) []byte {
	return append([]byte{22, 3, 3, byte(size >> 8), byte(size)}, make([]byte, size)...)
}
func wantsBulk(hello []byte) bool { return strings.Contains(string(hello), bulkProtocol) }

// answerSize is what a server's first flight has with one certificate.
const answerSize = 1500

// serveHellos answers hellos; one that offers the protocol of bulk with as many
// bytes as the file has.
func serveHellos(l net.Listener) {
	answer, bulk := tlsRecord(answerSize), make([]byte, 1<<20)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			b := make([]byte, 16<<10)
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if wantsBulk(b[:n]) {
				for range bulkSize / len(bulk) {
					if _, err := c.Write(bulk); err != nil {
						return
					}
				}
				return
			}
			if _, err := c.Write(answer); err == nil {
				_, _ = io.Copy(io.Discard, c)
			}
		}()
	}
}
