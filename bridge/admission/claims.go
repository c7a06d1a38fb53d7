package admission

import (
	"slices"
	"strings"
)

// maxGroups is how many groups of one person are looked at. A provider that sends more sends them
// for another purpose, and the rules cannot be sure of what they see (FB-22).
const maxGroups = 256

// Claims are what a provider says of a person, as they stand in its JSON.
type Claims map[string]any

// Text returns a claim that is a text, or "".
func (c Claims) Text(name string) string {
	text, _ := c[name].(string)
	return text
}

// Email returns the person's address in lower case if the provider vouches for it: only the
// literal true does (FB-17). verified names the claim that says so.
func (c Claims) Email(verified string) string {
	if sure, _ := c[verified].(bool); !sure {
		return ""
	}
	email := c.Text("email")
	local, domain, ok := strings.Cut(email, "@")
	if !ok || local == "" || domain == "" || strings.Contains(domain, "@") || !ascii(email) {
		return ""
	}
	return lower(email)
}

// Path leads to a claim: one name for each object on the way.
type Path []string

// ParsePath reads a path as it is written: names with dots between them.
func ParsePath(text string) Path { return strings.Split(text, ".") }

// String writes the path.
func (p Path) String() string { return strings.Join(p, ".") }

// at returns what stands at the path. A claim whose name holds the dots itself goes first.
func (c Claims) at(path Path) (any, bool) {
	if value, ok := c[path.String()]; ok {
		return value, true
	}
	var here any = map[string]any(c)
	for _, name := range path {
		object, ok := here.(map[string]any)
		if !ok {
			return nil, false
		}
		if here, ok = object[name]; !ok {
			return nil, false
		}
	}
	return here, true
}

// groups returns the person's groups, and false when they did not come whole: too many, of another
// form, or left out with a pointer to where they are (an overage), which is never followed.
func (c Claims) groups(path Path) ([]string, bool) {
	if c.elsewhere(path) {
		return nil, false
	}
	value, ok := c.at(path)
	if !ok || value == nil {
		return nil, true
	}
	groups, ok := texts(value)
	if !ok {
		groups, ok = names(value)
	}
	return groups, ok && len(groups) <= maxGroups
}

// names reads groups that are an object with a member for each, as Zitadel writes roles: what the member
// holds says more of it, and is an object again. Whatever else it holds could mean no.
func names(value any) ([]string, bool) {
	object, ok := value.(map[string]any)
	if !ok || len(object) > maxGroups {
		return nil, false
	}
	all := make([]string, 0, len(object))
	for name, more := range object {
		if detail, ok := more.(map[string]any); !ok || len(detail) == 0 {
			return nil, false
		}
		all = append(all, name)
	}
	return all, true
}

// elsewhere reports whether the claim is one the provider keeps in another place: an aggregated or
// distributed claim (OIDC Core §5.6.2), or the short form of implicit flows.
func (c Claims) elsewhere(path Path) bool {
	names, present := c["_claim_names"]
	if !present {
		flag, _ := c["hasgroups"].(bool)
		return flag && path.String() == "groups"
	}
	object, ok := names.(map[string]any)
	if !ok {
		return true // it cannot be known which
	}
	_, named := object[path[0]]
	_, whole := object[path.String()]
	return named || whole
}

// texts reads a claim that is a text or a list of texts.
func texts(value any) ([]string, bool) {
	switch v := value.(type) {
	case string:
		return []string{v}, true
	case []any:
		all := make([]string, 0, min(len(v), maxGroups+1))
		for _, one := range v {
			text, ok := one.(string)
			if !ok {
				return nil, false
			}
			all = append(all, text)
			if len(all) > maxGroups {
				break
			}
		}
		return all, true
	}
	return nil, false
}

// holds reports whether a claim is, or lists, one of the wanted values. Text is compared with text
// and a boolean with true or false; nothing else equals anything.
func (c Claims) holds(path Path, wanted []string) bool {
	value, ok := c.at(path)
	if !ok {
		return false
	}
	if flag, isBool := value.(bool); isBool {
		return slices.Contains(wanted, map[bool]string{true: "true", false: "false"}[flag])
	}
	all, ok := texts(value)
	return ok && len(all) <= maxGroups && slices.ContainsFunc(all, func(s string) bool { return slices.Contains(wanted, s) })
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// lower folds ASCII letters alone: Unicode folding would make other people's letters equal.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
