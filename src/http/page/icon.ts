/** Decides which icon the page of the API description has: a key, so that it is told from the tabs of others. */

export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#2450c8"/>
<g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round">
<circle cx="11.5" cy="16" r="4.5"/><path d="M16 16h10M22 16v4M26 16v3"/>
</g>
</svg>
`
