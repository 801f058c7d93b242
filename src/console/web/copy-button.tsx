import { useEffect, useRef, useState } from 'preact/hooks'
import { describeFailure } from './api.ts'

/** Copies what `text` gives. Where the browser forbids it (no secure context), the text is shown, selected. */
export function CopyButton ({ label, text }: { label: string, text: () => string | Promise<string> }) {
  const [said, setSaid] = useState('')
  const [shown, setShown] = useState<string | null>(null)
  const area = useRef<HTMLTextAreaElement>(null)
  useEffect(() => { area.current?.select() }, [shown])
  const copy = async (): Promise<void> => {
    let content = ''
    try {
      content = await text()
    } catch (error) {
      return setSaid(describeFailure(error))
    }
    try {
      await navigator.clipboard.writeText(content)
      setSaid('Copied')
      setTimeout(() => setSaid(''), 2000)
    } catch {
      setShown(content)
      setSaid('Copy it from here:')
    }
  }
  return (
    <span class='copy'>
      <button class='plain' onClick={copy}>{label}</button>
      <span role='status'>{said}</span>
      {shown !== null && <textarea ref={area} readOnly rows={6} aria-label={label} value={shown} />}
    </span>
  )
}
