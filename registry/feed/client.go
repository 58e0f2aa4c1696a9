package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// maxAnswer bounds an answer: MaxNames of them with a dozen filings each.
const maxAnswer = 16 << 20

// Client asks a registry service. Make one with NewClient; it is safe for
// concurrent use.
type Client struct {
	base  string
	token func() (string, error)
	http  *http.Client
	stall time.Duration // see get
}

// ParseService reads the URL of a registry service: http or https, without query,
// name and password. Errors quote it, unless it may hold a password.
func ParseService(service string) (*url.URL, error) {
	if strings.Contains(service, "@") {
		return nil, errors.New("the URL of a registry service holds an @; it has no name and no password: a service is shown a token or a certificate")
	}
	u, err := url.Parse(service)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is no URL of a registry service: %w", service, err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("%q is no URL of a registry service; expect for example https://registry.example", service)
	}
	return u, nil
}

// NewClient returns a client of the service at a URL, http or https, without
// query. token returns what the client shows for itself, asked anew for every
// request; nil where it shows nothing. A service asked over http sees the token
// in the clear, and so does everybody on the way: https is for all but the
// machine itself.
func NewClient(service string, token func() (string, error)) (*Client, error) {
	u, err := ParseService(service)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	refuse := func(*http.Request, []*http.Request) error {
		return errors.New("the service redirects; give the URL that it redirects to")
	}
	return &Client{strings.TrimSuffix(u.String(), "/"), token, &http.Client{Transport: transport, CheckRedirect: refuse}, stallTime}, nil
}

// Close gives up the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Coverage asks for the coverages of at most MaxNames names, and returns them in
// their order; it is an index.Source. Errors tell what the service said, never
// the token.
func (c *Client) Coverage(ctx context.Context, names []registry.Domain) ([]registry.Coverage, error) {
	body, err := appendRequest(nil, names)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodPost, CoveragePath, body, http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"},
	})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if err := c.check(resp, text); err != nil {
		return nil, err
	}
	return ParseAnswer(text, names)
}

// do asks the service, with the token.
func (c *Client) do(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	if c.token != nil {
		token, err := c.token()
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return c.http.Do(req)
}

// check refuses what is no answer.
func (c *Client) check(resp *http.Response, text []byte) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the service at %s says %s; see whether the token is right and may read coverages", c.base, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the service at %s says %s", c.base, resp.Status)
	case kind != "application/json":
		return fmt.Errorf("the service at %s answers with %q; expect application/json", c.base, kind)
	case len(text) > maxAnswer:
		return fmt.Errorf("the service at %s answers with more than %d bytes", c.base, maxAnswer)
	}
	return nil
}
