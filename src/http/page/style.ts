/** Decides how the page of the API description looks where swagger-ui alone would not do: telephones, keyboards, contrast, dark rooms, and the page's own parts. */

export const STYLE = `
:root { color-scheme: light dark; --ink: #1c1f26; --quiet: #5a6170; --card: #fff; --ground: #f4f6fb; --line: #d8dde7;
  --accent: #2450c8; --wrong: #a4161a; --edge: max(1.25rem, calc((100vw - 1420px) / 2)) }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9ecf3; --quiet: #a3abbc; --card: #262b33; --ground: #1c2022; --line: #454d5c;
    --accent: #93b2ff; --wrong: #ff9a9a }
}
body { background: var(--ground) }
:focus-visible { outline: 3px solid var(--accent) !important; outline-offset: 2px }

.sign-in, .last-call { color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; box-sizing: border-box }
.sign-in { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; background: var(--card);
  padding: .7rem var(--edge); border-bottom: 1px solid var(--line) }
.sign-in div { display: flex; flex-wrap: wrap; gap: .9rem; align-items: center; margin-right: auto }
.sign-in p { margin: 0; overflow-wrap: anywhere }
.sign-in button { font: inherit; font-size: .9rem; font-weight: 600; text-align: left; padding: .35rem .9rem;
  border-radius: .7rem; color: var(--accent); background: none; border: 1px solid var(--line); cursor: pointer }
.sign-in button:hover { background: var(--ground); border-color: var(--accent) }
.sign-in div button { color: var(--ink); font-weight: 400 }
.sign-in small { display: block; font-size: .8rem; font-weight: 400; color: var(--quiet) }

.last-call { position: sticky; bottom: 0; z-index: 10; max-height: 50vh; overflow: auto;
  padding: .8rem 3.5rem .8rem var(--edge); background: var(--card); border-top: 1px solid var(--line); box-shadow: 0 -.4rem 1.5rem rgb(0 0 0 / .12) }
.last-call:has([role=status]:empty) { padding: 0; border: 0; box-shadow: none }
.last-call:has([role=status]:empty) .close { display: none }
.last-call.refused { border-top: 3px solid var(--wrong) }
.last-call h2 { margin: 0; font-size: 1.1rem }
.last-call p { margin: 0 }
.last-call dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; margin: .5rem 0 0 }
.last-call dt { font-weight: 600; color: var(--quiet) }
.last-call dd { margin: 0; overflow-wrap: anywhere }
.last-call code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere }
.last-call .reason { color: var(--wrong); font-weight: 700 }
.last-call .close { position: absolute; top: .5rem; right: .8rem; padding: .25rem .6rem; font: 1.5rem/1 system-ui;
  color: var(--ink); background: none; border: 0; border-radius: .4rem; cursor: pointer }

.swagger-ui .response-col_links, .swagger-ui .servers-title, .swagger-ui .servers,
  .swagger-ui .opblock-summary .copy-to-clipboard, .swagger-ui [for=client_secret_authorizationCode], #client_secret_authorizationCode, .swagger-ui .scope-def { display: none }
html .swagger-ui .btn.btn.btn.authorize { color: var(--accent); border-color: var(--accent) }
html .swagger-ui .btn.btn.btn.authorize svg { color: inherit }
html .swagger-ui .btn.btn.cancel { color: var(--wrong); border-color: var(--wrong) }
html .swagger-ui .btn.btn.execute { background: var(--accent); border-color: var(--accent) }
html .swagger-ui .opblock.opblock-get .opblock-summary-method { background: var(--accent) }
html .swagger-ui .info a { color: var(--accent) }
.swagger-ui .info { margin: 30px 0 }
.swagger-ui .scheme-container { padding: 12px 0 }
.swagger-ui .dialog-ux .modal-ux-content { max-height: calc(100vh - 8rem) }
@media (max-width: 640px) {
  .swagger-ui .responses-inner, .swagger-ui .opblock-description-wrapper { padding: 10px }
  .swagger-ui table.headers thead { display: none }
  .swagger-ui table.headers :is(tbody, tr, td) { display: block; padding: 2px 0; white-space: normal }
  .last-call dl { grid-template-columns: 1fr }
  .last-call dd { margin-bottom: .3rem }
  .sign-in > * { flex-basis: 100% }
  .sign-in div { justify-content: space-between }
}
`
