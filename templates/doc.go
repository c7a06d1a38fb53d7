// Package templates is what people see: every page, every sentence, and the headers pages go out with.
//
// A handler hands over a page struct whose fields are the words on the page; a finished HTML
// answer goes out. A page is rendered whole before its first byte is sent, so a fault becomes the
// plain "something broke" page and never half a form.
//
//	handler → ConsentPage{…} → Set.Write → html/consent.html + messages.yaml → headers and HTML
//
// What a client says of itself is hostile: it is cleaned here whoever calls, always printed as
// text, and stands beside the host the answer goes to, which nobody can make up (CO-14, CO-15,
// CO-16). There is no script on any page.
//
// Neighbours: oauth, federation, consent and app write pages; clients fills Client; static serves
// the style sheet. This package imports nothing of ours but static.
package templates
