// Package api is the registry service: what icp-registry serve does over HTTP, and
// how the revisions of the store get to the edges.
package api
