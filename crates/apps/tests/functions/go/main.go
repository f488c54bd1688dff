// A function with AWS's client for Go.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

var calls int

func handle(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	calls++
	switch event.Path {
	case "/error":
		return events.APIGatewayProxyResponse{}, errors.New("not a thing")
	case "/panic":
		panic("lost")
	}
	invoked, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	body, err := json.Marshal(map[string]any{
		"type":     "ok",
		"text":     "from Go",
		"sent":     json.RawMessage(event.Body),
		"calls":    calls,
		"function": lambdacontext.FunctionName,
		"request":  invoked.AwsRequestID != "",
		"left":     time.Until(deadline).Milliseconds(),
	})
	headers := map[string]string{"Content-Type": "application/json"}
	return events.APIGatewayProxyResponse{StatusCode: 200, Headers: headers, Body: string(body)}, err
}

func main() { lambda.Start(handle) }
