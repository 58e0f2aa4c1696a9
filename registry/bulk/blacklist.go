package bulk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// maxBlacklistErrors bounds how many bad lines an error names.
const maxBlacklistErrors = 20

// ReadBlacklist reads the authority's blacklist: a domain a line, which stands
// for itself and all names below it. Empty lines are skipped, and what follows
// a "#". The encoding is found from the content. The error names each bad line
// as name:line; the domains of the good lines are returned beside it, but to go
// on without the others lets blacklisted names pass.
func ReadBlacklist(name string, r io.Reader) ([]registry.Domain, error) {
	in := bufio.NewScanner(newDecoder(r, EncodingAuto))
	in.Buffer(nil, 1<<16)
	var (
		list []registry.Domain
		errs []error
		line int
	)
	for in.Scan() {
		line++
		text, _, _ := strings.Cut(in.Text(), "#")
		if text = trim(text); text == "" {
			continue
		}
		d, err := blacklisted(text)
		switch {
		case err == nil:
			list = append(list, d)
		case len(errs) < maxBlacklistErrors:
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, line, err))
		case len(errs) == maxBlacklistErrors:
			errs = append(errs, fmt.Errorf("%s: more lines cannot be read", name))
		}
	}
	if err := in.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s:%d: %w", name, line+1, err))
	}
	return list, errors.Join(errs...)
}

func blacklisted(text string) (registry.Domain, error) {
	if strings.Contains(text, "/") || strings.HasPrefix(text, "*.") {
		return registry.Domain{}, fmt.Errorf("%q is no domain; write it alone, such as example.com: it stands for all names below it", cutText(text, maxValue))
	}
	d, err := registry.ParseDomain(text)
	if err != nil {
		return d, err
	}
	if d.IsPublicSuffix() {
		return d, fmt.Errorf("domain %q is a public suffix, so all names below it would be blocked; name the domains below it", d)
	}
	return d, nil
}
