package bulk

import (
	"io"
	"time"
)

// NewMeterFor is NewMeter for a writer that is no terminal.
func NewMeterFor(w io.Writer, now func() time.Time) *Meter { return newMeter(w, now) }

// Trim cuts what stands around a cell.
var Trim = trim
