//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// marked is how many datagrams there are to each that marks how far the gate is,
// where it tells nobody anything: one of a version that nobody speaks, which it
// answers as soon as it has decided on those before it.
const marked = 64

// silent has clients begin connections that are refused without a word. What the
// marks cost, to be received and answered, is counted as if it were for deciding:
// some 0.05 µs for each datagram.
func silent(long bool) func(options, *world) (float64, error) {
	measured := refusals(long, func(w *world, c *socket, list [][]byte) (float64, error) {
		_, err := w.untold(c, list, each(long)).pump(time.Minute)
		return float64(len(list)), err
	})
	return func(o options, w *world) (float64, error) {
		before, err := w.refused()
		if err != nil {
			return 0, err
		}
		cost, err := measured(o, w)
		if err != nil {
			return 0, err
		}
		after, err := w.refused()
		if err == nil && after-before != connections {
			err = fmt.Errorf("the gate has blocked %d of %d connections", after-before, connections)
		}
		return cost, err
	}
}

// untold is a way of datagrams that begin connections, so many of them each, of
// which nothing comes back but the answers to marks.
func (w *world) untold(c *socket, list [][]byte, perClient int) way {
	mark := make([]byte, initialSize)
	copy(mark, []byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	next, since := 0, 0
	return way{
		window: 4 * marked, to: c,
		send: func() (n int, err error) {
			for more := true; more && (next < len(list) || since > 0); n++ {
				data, client := mark, next/perClient
				if since < marked-1 && next < len(list) {
					data, since = list[next], since+1
					next++
				} else {
					since = 0
				}
				more = c.add(w.mute, uint32(1<<16+client), data, len(data))
			}
			return n, c.flush()
		},
		recv: func(wait time.Duration) (int, error) {
			_, n, err := c.read(wait, initialSize)
			return n * marked, err
		},
	}
}

// refused is how many connections the gate has blocked without a word so far, as
// it counts them itself.
func (w *world) refused() (n int, err error) {
	resp, err := http.Get("http://" + w.admin.String() + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "icp_gate_verdicts_total{") && strings.Contains(line, w.mute.String()) && strings.Contains(line, `verdict="block"`) {
			count, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				return 0, err
			}
			n += int(count)
		}
	}
	return n, lines.Err()
}
