package secret

import "strings"

// Mask stands for a secret in answers. It is Telnyx's.
const Mask = "********"

// maskRunes are what programs show in the place of the characters of a password.
const maskRunes = "*•●∗＊·"

// IsMask reports whether a text is what stands for a secret, of any length, and so no
// secret itself.
func IsMask(text string) bool {
	text = strings.TrimSpace(text)
	return text != "" && strings.Trim(text, maskRunes) == ""
}
