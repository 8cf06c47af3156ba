// A document with what the real one has: references, unions, several bodies, parameters in paths.

const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema) => ({ 'application/json': { schema } });
const problem = { description: 'What was wrong', content: json(ref('Problem')) };

export const openapi = {
  openapi: '3.1.0',
  info: { title: 'effnet', version: '0.1.0', description: 'Image classifiers over HTTP.\n\nSend an image, get `predictions`.' },
  tags: [{ name: 'images', description: 'Questions about images.' }, { name: 'server' }],
  paths: {
    '/classify': {
      post: {
        tags: ['images'],
        summary: 'The classes of one image or many',
        parameters: [
          { name: 'k', in: 'query', description: 'How many classes', schema: { type: 'integer', format: 'uint', minimum: 1, default: 5 } },
          { $ref: '#/components/parameters/Model' },
        ],
        requestBody: {
          required: true,
          content: {
            'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
            'multipart/form-data': { schema: { type: 'object', properties: { image: { type: 'string', format: 'binary' } } } },
            ...json(ref('Images')),
          },
        },
        responses: {
          200: {
            description: 'One record, or a list of them',
            headers: { 'Server-Timing': { description: 'Milliseconds', schema: { type: 'string' } } },
            content: json({ oneOf: [ref('Record'), { type: 'array', items: ref('Record') }] }),
          },
          422: problem,
          429: { ...problem, headers: { 'Retry-After': { schema: { type: 'integer' } } } },
        },
      },
    },
    '/models': { get: { tags: ['server'], summary: 'The models', responses: { 200: { description: 'All of them', content: json({ type: 'array', items: ref('Model') }) } } } },
    '/health/ready': { get: { tags: ['server'], responses: { 200: { description: 'Ready' }, 503: { description: 'Not ready' } } } },
    '/v2/models/{model}': {
      parameters: [{ name: 'model', in: 'path', required: true, schema: { type: 'string' } }],
      get: { tags: ['kserve'], summary: 'Metadata', responses: { 200: { description: 'Metadata', content: json(ref('Tree')) }, 404: problem } },
    },
  },
  components: {
    parameters: { Model: { name: 'model', in: 'query', description: 'The model’s name', schema: { type: ['string', 'null'] } } },
    schemas: {
      Problem: { type: 'object', required: ['error'], properties: { error: { type: 'string', description: 'One line' } } },
      Images: {
        type: 'object',
        properties: {
          image: { type: ['string', 'null'], description: 'Base64' },
          images: { type: 'array', items: { oneOf: [{ type: 'string' }, ref('Named')] } },
          k: { type: ['integer', 'null'] },
        },
        additionalProperties: false,
      },
      Named: { type: 'object', required: ['data'], properties: { name: { type: 'string' }, data: { type: 'string' } } },
      Record: {
        allOf: [
          { oneOf: [{ type: 'object', required: ['predictions'], properties: { predictions: { type: 'array', items: ref('Prediction') } } },
            { type: 'object', required: ['error'], properties: { error: { type: 'string' } } }] },
          { type: 'object', required: ['image', 'model'], properties: { image: { type: 'string' }, model: { type: 'string' } } },
        ],
      },
      Prediction: {
        type: 'object',
        required: ['index', 'logit'],
        properties: {
          index: { type: 'integer', format: 'uint', description: 'As [`Record`](crate::Record) has it, and [`k`] in [0, 1].\n\n```\nlet code = 1;\n```', minimum: 0 },
          label: { type: ['string', 'null'] },
          probability: { type: ['number', 'null'], format: 'float' },
          logit: { type: 'number', format: 'float' },
        },
      },
      Model: { type: 'object', properties: { name: { type: 'string' }, state: { type: 'string', enum: ['ready', 'loading', 'unloaded', 'failed'] } } },
      Tree: { type: 'object', properties: { name: { type: 'string' }, children: { type: 'array', items: ref('Tree') }, parameters: { type: 'object', additionalProperties: { type: 'string' } } } },
    },
  },
};
