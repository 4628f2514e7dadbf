package routing

import "errors"

// Check is what a carrier did when a gateway was checked: each step that was tried, in
// order, and the details of the call if one was placed.
type Check struct {
	Works     bool         `json:"works" readOnly:"true" doc:"Whether every step passed."`
	Addresses []string     `json:"addresses" readOnly:"true" doc:"Where the name of the gateway leads, in the order in which they are tried."`
	Steps     []CheckStep  `json:"steps" readOnly:"true"`
	Call      *CheckedCall `json:"call" readOnly:"true" doc:"What the carrier did with the INVITE; null where none was sent."`
}

// CheckStep is one thing that was tried.
type CheckStep struct {
	Step       string  `json:"step" title:"CheckedStep" readOnly:"true" enum:"resolve,connect,options,call" doc:"resolve: the name; connect: TCP and TLS; options: OPTIONS; call: INVITE."`
	Passed     bool    `json:"passed" readOnly:"true"`
	Status     int32   `json:"status" readOnly:"true" doc:"The final SIP status; 0 where none came, or none is awaited."`
	TookMicros int64   `json:"took_us" readOnly:"true" doc:"How long it took, in microseconds."`
	Says       string  `json:"says" readOnly:"true" doc:"What the carrier did."`
	Advice     *string `json:"advice" readOnly:"true" doc:"What to change; null where nothing is to be changed."`
}

// CheckedCall is what a carrier did with an INVITE.
type CheckedCall struct {
	Credentials   string   `json:"credentials" title:"CheckedCredentials" readOnly:"true" enum:"not_asked,accepted,refused,missing" doc:"not_asked: the carrier asked for none. missing: it asked, and the gateway has no user_name and password."`
	Realm         *string  `json:"realm" readOnly:"true" doc:"For which it asked; null where it did not."`
	Algorithm     *string  `json:"algorithm" readOnly:"true" doc:"Of the challenge that was answered, or could have been."`
	TryingMicros  *int64   `json:"trying_us" readOnly:"true" doc:"When 100 Trying came, in microseconds after the INVITE; null where it did not."`
	RingingMicros *int64   `json:"ringing_us" readOnly:"true" doc:"When 180 came, or 183 with media."`
	EarlyMedia    bool     `json:"early_media" readOnly:"true" doc:"Whether a provisional response had a session description."`
	Codecs        []string `json:"codecs" readOnly:"true" doc:"Those of the session description of the carrier, of PCMU, PCMA, G722 and telephone-event that were offered."`
	Status        int32    `json:"status" readOnly:"true" doc:"The final status; 0 where none came. 487 follows our own CANCEL."`
	Phrase        *string  `json:"phrase" readOnly:"true"`
	Reason        *string  `json:"reason" readOnly:"true" doc:"The header Reason of the final response."`
	Warning       *string  `json:"warning" readOnly:"true" doc:"The header Warning of the final response."`
}

// Add notes a step. advice is "" where nothing is to be changed.
func (c *Check) Add(step CheckStep, advice string) {
	if advice != "" {
		step.Advice = &advice
	}
	c.Steps = append(c.Steps, step)
}

// Errors of a check that is not made.
var (
	ErrBeingChecked = errors.New("the gateway is being checked already")
	ErrNotCarried   = errors.New("this server sends nothing to the gateway")
)
