package clients

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// maxDocumentID bounds the URL of a document: it is in every token and every row of its client.
const maxDocumentID = 256

// looksLikeURL reports whether an id is meant as the address of a document. None of our own ids is.
func looksLikeURL(id string) bool { return strings.Contains(id, "://") }

// CheckDocumentID says why a URL cannot be a client's id
// (draft-ietf-oauth-client-id-metadata-document-02 §3), or returns nil.
//
// The raw string is what counts, for it is compared byte by byte ever after: whatever one parser
// cleans away and another keeps is refused. Stricter than the draft: no query, no upper-case host,
// no bare slash.
func CheckDocumentID(id string) error {
	rest, ok := strings.CutPrefix(id, "https://")
	if !ok {
		return errors.New("the id is not an https URL")
	}
	if len(id) > maxDocumentID {
		return fmt.Errorf("the id is longer than %d bytes", maxDocumentID)
	}
	if err := checkIDBytes(rest); err != nil {
		return err
	}
	authority, path, _ := strings.Cut(rest, "/")
	if path == "" {
		return errors.New("the id has no path")
	}
	if strings.Contains(authority, "@") {
		return errors.New("the id holds user information")
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." || segment == "" && i < len(segments)-1 {
			return errors.New("the path of the id has dot or empty segments")
		}
	}
	return checkIDHost(id, authority)
}

// checkIDBytes lets through printable ASCII without what ends a path, splits it elsewhere or hides
// one of those behind an escape.
func checkIDBytes(rest string) error {
	for i := range len(rest) {
		c := rest[i]
		if c <= ' ' || c > '~' || strings.IndexByte("\\\"<>^`{|};?#", c) >= 0 {
			return fmt.Errorf("the id holds the character %q", c)
		}
		if c != '%' {
			continue
		}
		decoded, err := url.PathUnescape(rest[i:min(i+3, len(rest))])
		if err != nil || decoded[0] < ' ' || strings.Contains("./\\%;\x7f", decoded) {
			return errors.New("the id escapes what must not be escaped")
		}
	}
	return nil
}

func checkIDHost(id, authority string) error {
	parsed, err := url.Parse(id)
	if err != nil || parsed.Host != authority || parsed.User != nil || parsed.String() != id {
		return errors.New("the id can be read in two ways")
	}
	host, port := parsed.Hostname(), parsed.Port()
	if !plainHost(host) || strings.ToLower(authority) != authority || strings.HasSuffix(host, ".") {
		return errors.New("the host of the id is no plain lower-case name or address")
	}
	if port != "" && !validPort(port) || strings.HasSuffix(authority, ":") {
		return errors.New("the port of the id is none")
	}
	return nil
}

// documentHost is the host[:port] that a checked id names.
func documentHost(id string) string {
	authority, _, _ := strings.Cut(strings.TrimPrefix(id, "https://"), "/")
	return authority
}
