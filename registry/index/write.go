package index

import (
	"errors"
	"fmt"
	"io"

	"github.com/icpgate/icpgate/registry/disk"
)

// WriteFile makes the snapshot straight in a file: what Build and the function
// WriteFile would, to the byte, but without holding all of it in memory. The
// Builder is of no use afterwards.
func (b *Builder) WriteFile(path string) (Info, error) {
	c, err := b.compile()
	if err != nil {
		return Info{}, err
	}
	var h header
	err = disk.Replace(path, fileMode, func(f *disk.File) error {
		h, err = c.write(f)
		return err
	})
	if err != nil {
		return Info{}, fmt.Errorf("snapshot %q cannot be written: %w", path, err)
	}
	return h.info(), nil
}

// write writes the whole snapshot.
func (c *compiler) write(f *disk.File) (header, error) {
	small := c.small()
	for buckets := homes(c.known); ; buckets += buckets/16 + 1 {
		h, err := c.writeWith(f, buckets, small)
		if !errors.Is(err, errSpill) {
			return h, err
		}
		if err := f.Truncate(0); err != nil { // what lies between sections is zero
			return h, err
		}
	}
}

func (c *compiler) writeWith(f *disk.File, buckets uint64, small [][]byte) (header, error) {
	h := c.header(buckets, small)
	if err := c.writeLong(f, &h); err != nil {
		return h, err
	}
	for i, b := range small {
		s := newSectionWriter(f, h.sections[sectionProviders+section(i)].offset)
		_, _ = s.Write(b) // Flush has the error
		if err := s.Flush(); err != nil {
			return h, err
		}
		h.sections[sectionProviders+section(i)].sum = s.out.sum
	}
	var head [headerSize]byte
	h.encode(head[:])
	if _, err := f.WriteAt(head[:], 0); err != nil {
		return h, err
	}
	return h, f.Truncate(int64(h.length))
}

// writeLong writes table and records, while the next of them are made.
func (c *compiler) writeLong(f *disk.File, h *header) error {
	p := newPlacer(h.buckets)
	var to [3]*behind
	for i, w := range []*io.Writer{&p.table, &p.recordIndex, &p.records} {
		to[i] = newBehind(io.NewOffsetWriter(f, int64(h.sections[i].offset)))
		*w = to[i]
	}
	err := c.fill(p)
	for i, w := range to {
		if e := w.close(); err == nil {
			err = e
		}
		h.sections[i].sum = w.out.sum
	}
	h.spill = p.spill
	return err
}

// behind writes and sums up in a goroutine of its own, so that whoever makes the
// bytes does not wait for the kernel.
type behind struct {
	out  summed
	buf  []byte
	full chan []byte
	free chan []byte
	done chan error
}

// behindBuffers of sectionBuffer bytes are under way at most.
const behindBuffers = 4

func newBehind(w io.Writer) *behind {
	b := &behind{
		out: summed{w: w}, full: make(chan []byte, behindBuffers), free: make(chan []byte, behindBuffers), done: make(chan error, 1),
	}
	for range behindBuffers {
		b.free <- make([]byte, 0, sectionBuffer)
	}
	b.buf = <-b.free
	go b.run()
	return b
}

// run writes until close. After an error it only takes the buffers.
func (b *behind) run() {
	var err error
	for buf := range b.full {
		if err == nil {
			_, err = b.out.Write(buf)
		}
		b.free <- buf[:0]
	}
	b.done <- err
}

// Write takes p; close has the error.
func (b *behind) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(b.buf) == cap(b.buf) {
			b.full <- b.buf
			b.buf = <-b.free
		}
		k := min(len(p), cap(b.buf)-len(b.buf))
		b.buf = append(b.buf, p[:k]...)
		p = p[k:]
	}
	return n, nil
}

// close writes the rest and waits.
func (b *behind) close() error {
	b.full <- b.buf
	close(b.full)
	return <-b.done
}
