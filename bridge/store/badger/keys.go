package badger

import (
	"encoding/binary"
	"time"
)

// Rows are stored under "<kind>/<id>", index rows under "index/<name>/<parts>". A part that comes
// from outside (client ids are URLs, persons come from anywhere) goes into a key as its keyed hash,
// so that a key tells nothing, every part but the last has a fixed length, and no value can reach
// into another's range.
const (
	schemaKey         = "meta/schema"
	deploymentKey     = "meta/deployment"
	signingKeysKey    = "meta/signing-keys"
	unusedClientsKey  = "meta/unused-clients"
	auditSequenceKey  = "meta/audit-sequence"
	indexDue          = "index/due/"              // when, "<kind>/<id>": what Sweep removes
	indexGrants       = "index/grants/"           // newest first, grant
	indexPersonGrants = "index/grants-of-person/" // person, newest first, grant
	indexClientGrants = "index/grants-of-client/" // client, newest first, grant
	indexOpenGrants   = "index/open-grants/"      // client, grant: those that have not ended
	indexLapses       = "index/lapses/"           // when, grant
	indexLinkGrants   = "index/grants-of-link/"   // link, grant: those that have not ended
	indexIdentGrants  = "index/grants-of-ident/"  // identity session, grant: those that have not ended
	indexLinks        = "index/links/"            // newest first, link
	indexPersonLink   = "index/link-of/"          // person, link: the live one
	indexSubjects     = "index/ident-subjects/"   // issuer, subject, identity session: those that have not ended
	indexSIDs         = "index/ident-sids/"       // issuer, sid, identity session: those that have not ended
	indexSessions     = "index/flow-sessions/"    // expiry, flow: those that hold a Trinity session
	indexRevocations  = "index/revocations/"      // when due, grant
	indexPersonKeys   = "index/revocations-of/"   // person, grant
	indexGrantAudit   = "index/audit-of-grant/"   // grant, audit id
	timeBytes         = 12
	foreignBytes      = 16
	indexMark         = "\x01" // the value of an index row
)

// oldestFirst is a key part that sorts by time: seconds, then nanoseconds, big-endian. Nanoseconds
// alone would overflow for times a configuration can name.
func oldestFirst(t time.Time) string {
	var part [timeBytes]byte
	binary.BigEndian.PutUint64(part[:], uint64(t.Unix())^1<<63)  //nolint:gosec // the sign bit is flipped so that negative sorts first
	binary.BigEndian.PutUint32(part[8:], uint32(t.Nanosecond())) //nolint:gosec // below 1e9
	return string(part[:])
}

// newestFirst is oldestFirst reversed.
func newestFirst(t time.Time) string { return invert(oldestFirst(t)) }

func invert(part string) string {
	inverted := []byte(part)
	for i := range inverted {
		inverted[i] ^= 0xff
	}
	return string(inverted)
}

// foreign is the key part of values that come from outside, which it does not show. Hashes without
// a key would: an e-mail address is found by trying addresses. What two outsiders give for one and
// two parts never meets, since each part is hashed by itself first.
func (t *tx) foreign(values ...string) string {
	joined := values[0]
	if len(values) > 1 {
		joined = ""
		for _, value := range values {
			joined += t.foreign(value)
		}
	}
	mac := t.seal.MAC("index", joined)
	return string(mac[:foreignBytes])
}
