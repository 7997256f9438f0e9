// OHIF's configuration: our DICOMweb on the same origin, our name, our language cookie, the way back to our list.
// Read by the browser before OHIF starts; nothing in it differs from one reader to another.
(() => {
  const query = new URLSearchParams(location.search);
  const cookie = name => document.cookie.match(`(?:^|; )${name}=([^;]*)`)?.[1];

  // One cookie, OHIF's own, says the language of our pages and of OHIF alike; without it everything is Chinese.
  if (!cookie('i18next')) {
    document.cookie = 'i18next=zh-CN; path=/; max-age=31536000; samesite=lax';
  }

  // OHIF's introduction is English only and stands before the first image.
  localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']));

  // The same study may have been sent by two institutions; each has a DICOMweb root of its own.
  const institution = query.get('institution');
  const root = location.origin + '/dicom-web' + (institution ? `/at/${encodeURIComponent(institution)}` : '');

  // The list as it was left: with its search and page.
  const list = () => {
    const left = sessionStorage.getItem('huitong.list');
    return left && /^\/(me\/[\w/]*)?(\?|$)/.test(left) ? left : '/';
  };
  const chinese = !(cookie('i18next') || 'zh-CN').startsWith('en');

  // Where a session has ended the way leads to the sign-in and back to where this was asked: OHIF goes on to its page
  // "not found" meanwhile. It hands failed searches to its `httpErrorHandler`, but (3.13.2) failed frames to nobody, so
  // all that it asks for is watched.
  let leaving = false;
  const signIn = (status, next) => {
    if (status !== 401 || leaving) return;
    leaving = true;
    location.replace(`/sign-in?${new URLSearchParams({ next })}`);
  };
  const here = () => location.pathname + location.search;
  const { send } = XMLHttpRequest.prototype;
  const { fetch } = window;

  // Whoever came by a link is told when that has ended, by the page that says so on phones. What is refused and what
  // is not there are one answer here, so the page is asked which it is.
  let asking = false;
  const toEnd = async status => {
    const study = query.get('StudyInstanceUIDs');
    if (status !== 404 || !institution || !study || asking || leaving) return;
    asking = true;
    const look = `/look/${encodeURIComponent(institution)}/${encodeURIComponent(study)}`;
    const said = await fetch(look, { headers: { Accept: 'application/problem+json' } });
    const { type = '' } = said.status === 404 ? await said.json() : {};
    asking = false;
    if (!type.endsWith('link-ended')) return;
    leaving = true;
    location.replace(look);
  };
  const leave = (status, from) => {
    signIn(status, from);
    toEnd(status).catch(() => { asking = false; });
  };
  XMLHttpRequest.prototype.send = function (...body) {
    const from = here();
    this.addEventListener('loadend', () => leave(this.status, from));
    return send.apply(this, body);
  };
  window.fetch = async (...asked) => {
    const from = here();
    const answer = await fetch(...asked);
    leave(answer.status, from);
    return answer;
  };

  // OHIF 3.13.2 takes the first letter of VOILUTFunction (0028,1056) for the function ("S" of SIGMOID) and then shows
  // nothing at all: most mammograms. The other spelling, which it reads as well, it takes whole.
  const wholeVoiFunction = {
    id: 'huitong.voi-lut-function',
    preRegistration: () => {
      const { metaData } = window.cornerstone;
      let asking = false;
      metaData.addProvider((type, ...query) => {
        if (type !== 'voiLutModule' || asking) return undefined;
        asking = true;
        try {
          const found = metaData.get(type, ...query);
          const given = found?.voiLUTFunction;
          return typeof given === 'string' ? { ...found, voiLUTFunction: undefined, voiLutFunction: given } : undefined;
        } finally {
          asking = false;
        }
      }, 1e6);
    },
  };

  // OHIF shows the alphabetic group of a name alone (PS3.5 6.2.1); where there are hanzi, readers want those.
  const namesInHanzi = {
    id: 'huitong.names-in-hanzi',
    preRegistration: ({ servicesManager }) => {
      const { displaySetService } = servicesManager.services;
      const whole = name => (Array.isArray(name) ? name[0] : name);
      displaySetService.subscribe(displaySetService.EVENTS.DISPLAY_SETS_ADDED, ({ displaySetsAdded }) => {
        for (const instance of displaySetsAdded.flatMap(set => set.instances ?? [set.instance])) {
          const hanzi = whole(instance?.PatientName)?.Ideographic;
          if (hanzi) {
            instance.PatientName = { Alphabetic: hanzi.replaceAll('^', ''), Ideographic: hanzi };
          }
        }
      });
    },
  };

  // OHIF takes two patient numbers for two patients. Where the studies shown are one person's under several numbers, it
  // is told the number of the exchange instead, by which it has found them; else it shows the hospital's, as sent.
  const onePerson = {
    id: 'huitong.one-person',
    preRegistration: async ({ servicesManager }) => {
      const { displaySetService } = servicesManager.services;
      const persons = new Map();
      const ask = async conditions => {
        const answer = await fetch(`${root}/studies?limit=1000&${new URLSearchParams(conditions)}`);
        return answer.ok ? answer.json() : [];
      };
      const value = (row, tag) => row?.[tag]?.Value?.[0];
      const sent = row => [value(value(row, '00101002'), '00100021'), value(value(row, '00101002'), '00100020')].join('/');
      const learn = async uid => {
        const person = value((await ask({ StudyInstanceUID: uid }))[0], '00100020');
        const studies = person ? await ask({ PatientID: person }) : [];
        if (new Set(studies.map(sent)).size > 1) {
          studies.forEach(row => persons.set(value(row, '0020000D'), person));
        }
      };
      displaySetService.subscribe(displaySetService.EVENTS.DISPLAY_SETS_ADDED, ({ displaySetsAdded }) => {
        for (const instance of displaySetsAdded.flatMap(set => set.instances ?? [set.instance])) {
          const person = persons.get(instance?.StudyInstanceUID);
          if (person) instance.PatientID = person;
        }
      });
      if (institution) return; // all is as this institution sent it
      const opened = query.getAll('StudyInstanceUIDs').flatMap(each => each.split(','));
      await Promise.all(opened.slice(0, 10).map(learn)).catch(() => undefined); // then it shows what was sent
    },
  };

  window.config = {
    name: 'huitong',
    routerBasename: '/',
    extensions: [wholeVoiFunction, namesInHanzi, onePerson],
    modes: [],
    customizationService: {},
    showStudyList: false, // the list is ours
    showPatientInfo: 'visible', // whose images these are, before anything else
    maxNumberOfWebWorkers: 3,
    showWarningMessageForCrossOrigin: false,
    showCPUFallbackMessage: true,
    showLoadingIndicator: true,
    strictZSpacingForVolumeViewport: true,
    groupEnabledModesFirst: true,
    investigationalUseDialog: { option: 'never' }, // said on our page /about
    maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
    showErrorDetails: 'always',
    whiteLabeling: {
      createLogoComponentFn: React =>
        React.createElement(
          'a',
          {
            href: list(),
            title: chinese ? '返回检查列表' : 'Back to the study list',
            style: { display: 'flex', alignItems: 'center', gap: '8px', color: '#fff', whiteSpace: 'nowrap' },
            'data-huitong': 'back',
          },
          React.createElement('span', { 'aria-hidden': true, style: { fontSize: '20px' } }, '‹'),
          React.createElement('img', { src: '/static/mark.svg', alt: '', width: 24, height: 24 }),
          React.createElement('span', { style: { fontSize: '15px' } }, chinese ? '检查列表' : 'Study list')
        ),
    },
    defaultDataSourceName: 'huitong',
    dataSources: [
      {
        namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
        sourceName: 'huitong',
        configuration: {
          friendlyName: 'Huitong',
          name: 'huitong',
          wadoUriRoot: root,
          qidoRoot: root,
          wadoRoot: root,
          qidoSupportsIncludeField: true,
          imageRendering: 'wadors',
          thumbnailRendering: 'thumbnail',
          thumbnailRequestStrategy: 'fetch',
          enableStudyLazyLoad: true,
          supportsFuzzyMatching: true,
          supportsWildcard: true,
          singlepart: 'bulkdata,video,pdf',
          bulkDataURI: { enabled: true, relativeResolution: 'studies' },
          omitQuotationForMultipartRequest: true,
          dicomUploadEnabled: false,
        },
      },
    ],
    httpErrorHandler: error => console.warn('DICOMweb', error.status, error.message),
  };
})();
