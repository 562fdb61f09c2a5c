// Asks for flags as a product would: by OpenFeature's server SDK, through its OFREP provider.
// Usage: ask.cjs <address> <API key> <[{"type", "flag", "fallback", "org"}]>; prints the details of each as a JSON array.
'use strict';

const { OpenFeature } = require('@openfeature/server-sdk');
const { OFREPProvider } = require('@openfeature/ofrep-provider');

async function main([baseUrl, key, questions]) {
    const provider = new OFREPProvider({ baseUrl, headers: [['Authorization', `Bearer ${key}`]] });
    await OpenFeature.setProviderAndWait(provider);
    const client = OpenFeature.getClient();
    const answers = [];
    for (const { type, flag, fallback, org } of JSON.parse(questions)) {
        const context = org === undefined ? {} : { targetingKey: org, email: 'jane@example.com' };
        const ask = type === 'boolean' ? client.getBooleanDetails : client.getNumberDetails;
        const { value, variant, reason, errorCode, flagMetadata } = await ask.call(client, flag, fallback, context);
        answers.push({ value, variant, reason, errorCode, flagMetadata });
    }
    console.log(JSON.stringify(answers));
    await OpenFeature.close();
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
