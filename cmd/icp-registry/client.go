package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/icpgate/icpgate/registry/api"
)

// client asks a service. Make one with target.connect; its close must be called.
type client struct {
	base  string
	token string
	http  *http.Client
	local bool // the service is this process
	close func() error
}

// refusal is what the service said in place of an answer.
type refusal struct {
	api.Problem
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// Error tells what the service said.
func (r *refusal) Error() string {
	text := r.Detail
	if text == "" {
		text = r.Title
	}
	for _, e := range r.Errors {
		text += fmt.Sprintf("; %s: %s", strings.TrimPrefix(e.Location, "body."), e.Message)
	}
	return text
}

// hintOf is what to do about a status.
func hintOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "see whether the file of the token is right; \"icp-registry token create\" makes one"
	case http.StatusForbidden:
		return "use a token with this scope; \"icp-registry token list\" shows which there are"
	case http.StatusInsufficientStorage:
		return "make room on the disk of the database; \"icp-registry doctor\" looks"
	}
	return ""
}

// request makes a request; the body may be nil.
func (c *client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	return r, nil
}

// send sends a request and returns the answer if it is one.
func (c *client) send(r *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the service did not answer: %w", err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what came of it is enough
	p := &refusal{}
	if err := json.Unmarshal(text, p); err != nil || p.Title == "" {
		return nil, fmt.Errorf("what answers at %s says %s; is it a registry service?", c.base, resp.Status)
	}
	if hint := hintOf(resp.StatusCode); hint != "" && !c.local {
		return nil, withHint(p, hint)
	}
	return nil, p
}

// get asks for what is no JSON: the body of the answer is to be closed.
func (c *client) get(ctx context.Context, path string) (*http.Response, error) {
	r, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return c.send(r)
}

// call sends in as JSON and reads the answer into out; either may be nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.send(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("the service's answer cannot be read: %w", err)
	}
	return nil
}

// status is that of a refusal; 0 for other errors.
func status(err error) int {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r.Status
	}
	return 0
}
