// Shows the specification of this instance in Scalar, without any of Scalar's services, and logs in for its requests.
'use strict'
{
  const api = '/api/v1'
  let token = '' // in this tab's memory alone

  const configuration = () => ({
    url: '/openapi.yaml',
    theme: 'default',
    layout: 'modern',
    proxyUrl: '',
    telemetry: false,
    withDefaultFonts: false,
    hideClientButton: true,
    showDeveloperTools: 'never',
    agent: { disabled: true, hideAddApi: true },
    mcp: { disabled: true },
    externalUrls: { dashboardUrl: '', registryUrl: '', proxyUrl: '', apiBaseUrl: '' },
    persistAuth: false,
    documentDownloadType: 'none',
    defaultOpenFirstTag: true,
    operationTitleSource: 'summary',
    orderRequiredPropertiesFirst: true,
    servers: [{ url: location.origin + api, description: location.host }],
    defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
    authentication: {
      preferredSecurityScheme: 'bearerAuth',
      securitySchemes: { bearerAuth: { token } },
    },
  })

  const viewer = window.Scalar.createApiReference('#reference', configuration())

  const form = document.getElementById('login-form')
  const fault = document.getElementById('login-fault')
  const who = document.getElementById('who')
  const forget = document.getElementById('forget')

  const use = (value, name) => {
    token = value
    who.value = name
    forget.hidden = value === ''
    viewer.updateConfiguration(configuration())
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    fault.textContent = ''
    const submit = form.querySelector('button')
    if (submit.ariaBusy === 'true') return // each wrong password counts: one request for one press
    submit.ariaBusy = 'true'
    try {
      const answer = await fetch(api + '/auth/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ userId: form.elements.userId.value, password: form.elements.password.value }),
      })
      const body = await answer.json()
      if (body.success) {
        use(body.data.accessToken, body.data.user.userName + ' · ' + body.data.user.lines.join(', '))
        form.elements.password.value = ''
      } else {
        fault.textContent = body.error.message + ' (' + body.error.code + ')'
      }
    } catch (error) {
      fault.textContent = String(error)
    } finally {
      submit.ariaBusy = null
    }
  })

  forget.addEventListener('click', () => use('', ''))
}
