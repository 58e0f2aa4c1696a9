package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Client is a connection that asks. It is used by one goroutine.
type Client struct {
	net.Conn
	// MaxFrame is the longest frame that was agreed on.
	MaxFrame int

	id uint64
	in []byte
}

// patience is how long an answer may take; whoever wants to know of less looks at
// the clock.
const patience = time.Minute

// Dial connects and exchanges hellos.
func Dial(network, addr string) (*Client, error) {
	nc, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	c := &Client{Conn: nc}
	if err := c.hello(); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) hello() error {
	const bufsize = 16380 // HAProxy's usual
	if err := c.Send(HelloFrame(bufsize)); err != nil {
		return err
	}
	a, err := c.Next()
	switch {
	case err != nil:
		return err
	case a.Kind != AgentHello || a.Items["version"] != "2.0" || a.Items["capabilities"] != "pipelining":
		return fmt.Errorf("the agent says %v", a)
	}
	_, err = fmt.Sscan(a.Items["max-frame-size"], &c.MaxFrame)
	return err
}

// Send writes frames as they are.
func (c *Client) Send(b []byte) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err := c.Write(b)
	return err
}

// Next reads one answer; io.EOF is the agent's end.
func (c *Client) Next() (Answer, error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	for {
		a, n, err := ReadAnswer(c.in)
		if err != nil || n > 0 {
			c.in = c.in[n:]
			return a, err
		}
		buf := make([]byte, 16<<10)
		if n, err = c.Read(buf); err != nil {
			if errors.Is(err, io.EOF) && len(c.in) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return a, err
		}
		c.in = append(c.in, buf[:n]...)
	}
}

// Ask asks with a message, and reads the answer to it.
func (c *Client) Ask(message []byte) (Answer, error) {
	c.id++
	if err := c.Send(NotifyFrame(c.id, 1, message)); err != nil {
		return Answer{}, err
	}
	a, err := c.Next()
	if err == nil && (a.Kind != Ack || a.Stream != c.id || a.ID != 1) {
		err = fmt.Errorf("asked with stream %d, answered %v", c.id, a)
	}
	return a, err
}
