/** Decides how the tenant's pages look: light and dark, from phone to desk, without a byte from elsewhere. */

export const STYLE = `
:root { color-scheme: light dark; --ink: #1c1f26; --quiet: #5a6170; --ground: #eef1f6; --card: #fff;
  --line: #d8dde7; --hover: #f3f6fc; --accent: #2450c8; --badge: #fdf0d3; --badge-ink: #6b4700; --wrong: #a4161a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9ecf3; --quiet: #a3abbc; --ground: #12141a; --card: #1c2029; --line: #353c4b;
    --hover: #262c39; --accent: #93b2ff; --badge: #3b2f13; --badge-ink: #f5d48a; --wrong: #ff9a9a }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 27rem; padding: 1.75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; box-shadow: 0 .5rem 2rem rgb(0 0 0 / .08) }
h1 { margin: .75rem 0 .25rem; font-size: 1.4rem; line-height: 1.25 }
p { margin: .25rem 0 1.25rem; color: var(--quiet); overflow-wrap: anywhere }
p strong { color: var(--ink) }
.badge { margin: 0; display: inline-block; padding: .1rem .6rem; border-radius: 1rem; font-size: .8rem;
  font-weight: 600; background: var(--badge); color: var(--badge-ink) }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: .6rem }
button, input { font: inherit; color: inherit; border-radius: .7rem }
button { cursor: pointer }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.person { width: 100%; display: grid; grid-template-columns: auto 1fr; column-gap: .9rem; align-items: center;
  padding: .7rem .9rem; text-align: left; background: none; border: 1px solid var(--line) }
.person:hover { background: var(--hover); border-color: var(--accent) }
.initials { grid-row: span 3; width: 2.6rem; height: 2.6rem; display: grid; place-items: center;
  border-radius: 50%; background: var(--accent); color: var(--card); font-weight: 600 }
.name { font-weight: 600 }
.about { font-size: .875rem; color: var(--quiet) }
.plain { margin-top: 1rem; padding: .5rem 1rem; background: none; border: 1px solid var(--line) }
.plain:hover { background: var(--hover) }
.main { margin-top: 1rem; padding: .6rem 1.4rem; border: 0; background: var(--accent); color: var(--card);
  font-weight: 600 }
label { display: block; font-weight: 600 }
input { width: 100%; margin-top: .3rem; padding: .6rem .8rem; background: none; border: 1px solid var(--quiet);
  letter-spacing: .15em; text-transform: uppercase }
.wrong { color: var(--wrong) }
`
