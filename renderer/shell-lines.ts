/** What a person pastes into a POSIX shell so that the AWS CLI and the SDKs reach S3 through the proxy at `address`. */
export function shellLines(address: string): string {
  return [
    `export HTTP_PROXY=http://${address} http_proxy=http://${address}`,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell fills it in
    'export AWS_ENDPOINT_URL_S3="http://s3.${AWS_REGION:-us-east-1}.amazonaws.com"',
    'export NO_PROXY=169.254.169.254,169.254.170.2,localhost,127.0.0.1',
  ].join('\n');
}
