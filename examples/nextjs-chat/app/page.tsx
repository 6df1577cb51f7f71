import { ChatApp } from "@/components/chat-app";

export default function Page() {
  return <ChatApp />;
}
