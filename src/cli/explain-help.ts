/** Decides what the explain command says of itself. */

/** The help. */
export const explainHelp = `Usage: npm run -s token -- explain [TOKEN | -] [OPTIONS]

Says why a token is refused or accepted: the server that this environment configures is built,
without listening, and judges it. Prints every check in its order, who the caller is, which routes
let them in, and what mends a refusal. Without a token: checks the configuration against the issuer.

TOKEN
  a token, with or without "Bearer"; seen by other users of this machine in the list of processes
  -        from stdin; at a terminal it is asked for and not shown. Also takes the JSON of --json

The token is written nowhere. Claims are printed, for they are what it is about.

OPTIONS
  --jwks FILE   judge by the keys in this file (a JWK Set) and ask nothing over the network
  --json        the report as JSON
  --help, -h    this text

EXAMPLES
  npm run -s token | npm run -s token -- explain -
  npm run -s token -- explain
  npm run -s token -- explain - --jwks keys.json --json < token.txt

EXIT CODES
  0 admitted on at least one guarded route, or configured well   1 not   2 usage   78 configuration
`
