package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// explainParams are the parameters of /explain.
var explainParams = []string{
	"host", "addr", "channel", "provider", "address_provider", "product", "acceleration", "origin", "origin_pull", "cname", "block",
}

// explained is the answer of /explain: an explanation, and by which block.
type explained struct {
	Block blockName `json:"block"`
	Explained
}

// blockName names a block among several.
type blockName struct {
	Number int    `json:"number"` // as /status lists them, from 1
	Of     int    `json:"of"`
	Label  string `json:"label,omitempty"`
}

func (n blockName) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d/%d %s", n.Number, n.Of, n.Label))
}

// explainPage judges a host as one of the blocks does.
func explainPage(k ask) (answer, error) {
	e, name, err := k.block()
	if err != nil {
		return answer{}, err
	}
	q, err := ReadQuestion(k.query, e.cfg.Channel)
	if err != nil {
		return answer{}, err
	}
	q.complete(e.cfg.Stands)
	x := explained{name, Explain(k.lang, e.Judge(q))}
	return answer{value: x, text: func(w io.Writer) error {
		if err := x.WriteText(w); err != nil || name.Of == 1 {
			return err
		}
		_, err := fmt.Fprintf(w, "\nblock %s\n", name)
		return err
	}}, nil
}

// block is the Edge that is asked: the first, or the one that is named by its
// number or label.
func (k ask) block() (*Edge, blockName, error) {
	all := blocks()
	if len(all) == 0 {
		return nil, blockName{}, &problem{http.StatusServiceUnavailable, "", errors.New("no block is open")}
	}
	s := k.query.Get("block")
	for i, e := range all {
		if s == "" || s == strconv.Itoa(i+1) || s == e.cfg.Label {
			return e, blockName{i + 1, len(all), e.cfg.Label}, nil
		}
	}
	return nil, blockName{}, badParam("block", fmt.Errorf("there is no block %q; expect a number from 1 to %d, or a label of /status", s, len(all)))
}
