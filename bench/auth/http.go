package main

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// httpConns are how many connections a proxy keeps, each with one question at a
// time.
const httpConns = 64

// forwardHead is what proxies send of a browser's request, for a path and a name.
const forwardHead = "GET %s HTTP/1.1\r\nHost: icp-gate\r\nX-Forwarded-Host: %s\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 198.51.100.7\r\n" +
	"X-Forwarded-Uri: /index.html\r\nX-Real-Ip: 198.51.100.7\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n" +
	"Accept-Encoding: gzip, deflate\r\nAccept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n\r\n"

// http asks over connections that stay open. With query the name stands in the
// path, as programs have it.
func http(network, path, status string, query bool) func(options, *asked) (float64, error) {
	return func(o options, g *asked) (float64, error) {
		addr := g.auth
		if network == "unix" {
			addr = g.authUnix
		}
		requests := make([][]byte, len(g.names))
		for i, name := range g.names {
			if requests[i] = fmt.Appendf(nil, forwardHead, path, name); query {
				requests[i] = fmt.Appendf(nil, "GET %s?host=%s HTTP/1.1\r\nHost: icp-gate\r\nAccept: */*\r\n\r\n", path, name)
			}
		}
		var (
			n      atomic.Int64
			failed atomic.Pointer[error]
			wait   sync.WaitGroup
		)
		end := time.Now().Add(o.run)
		for k := range httpConns {
			wait.Go(func() {
				c, err := net.Dial(network, addr)
				if err == nil {
					defer c.Close()
					b := make([]byte, 4<<10)
					for i := k; err == nil && time.Now().Before(end) && failed.Load() == nil; i++ {
						if err = askHTTP(c, requests[i%len(requests)], status, b); err == nil {
							n.Add(1)
						}
					}
				}
				if err != nil {
					failed.Store(&err)
				}
			})
		}
		wait.Wait()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return float64(n.Load()), nil
	}
}

var (
	headEnd    = []byte("\r\n\r\n")
	lengthLine = []byte("\r\nContent-Length: ")
	passed     = [][]byte{[]byte("\r\nX-ICP-Verdict: pass\r\n"), []byte(`"answer":"pass"`), []byte(`"answer": "pass"`)}
)

// askHTTP asks once, and makes sure that the answer passes. b is to read into.
func askHTTP(c net.Conn, request []byte, status string, b []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	for n, want := 0, len(b)+1; ; {
		k, err := c.Read(b[n:])
		if n += k; err != nil {
			return err
		}
		if end := bytes.Index(b[:n], headEnd); end >= 0 {
			want = end + len(headEnd)
			if _, rest, ok := bytes.Cut(b[:end+2], lengthLine); ok {
				digits, _, _ := bytes.Cut(rest, []byte("\r"))
				length, _ := strconv.Atoi(string(digits))
				want += length
			}
		}
		if n < want {
			continue
		}
		answer := b[:n]
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 "+status)) {
			return fmt.Errorf("answered %q", answer)
		}
		for _, p := range passed {
			if bytes.Contains(answer, p) {
				return nil
			}
		}
		return fmt.Errorf("answered %q", answer)
	}
}
