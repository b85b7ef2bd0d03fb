
import type { Dashboard } from '@grafana/schema';
type Literal<T> = T extends string ? `${T}`
  : T extends (infer U)[] ? Literal<U>[]
  : T extends object ? { [K in keyof T]: Literal<T[K]> }
  : T;
export const dashboard: Literal<Dashboard> = {
 "annotations": {
  "list": [
   {
    "datasource": {
     "type": "prometheus",
     "uid": "${datasource}"
    },
    "enable": true,
    "iconColor": "red",
    "name": "Alerts"
   }
  ]
 },
 "description": "Requests, latency, artifacts and database pools of an MLflow tracking server that runs with --app-name flowgauge.",
 "editable": false,
 "graphTooltip": 1,
 "links": [
  {
   "asDropdown": false,
   "icon": "dashboard",
   "includeVars": false,
   "keepTime": true,
   "tags": [],
   "targetBlank": false,
   "title": "DAGs",
   "tooltip": "",
   "type": "link",
   "url": "/d/flowgauge-dags?${datasource:queryparam}"
  },
  {
   "asDropdown": false,
   "icon": "dashboard",
   "includeVars": false,
   "keepTime": true,
   "tags": [],
   "targetBlank": false,
   "title": "Rate limit and outbox",
   "tooltip": "",
   "type": "link",
   "url": "/d/flowgauge-rate-limit?${datasource:queryparam}"
  },
  {
   "asDropdown": false,
   "icon": "dashboard",
   "includeVars": false,
   "keepTime": true,
   "tags": [],
   "targetBlank": false,
   "title": "Alerts",
   "tooltip": "",
   "type": "link",
   "url": "/d/flowgauge-alerts?${datasource:queryparam}"
  },
  {
   "asDropdown": false,
   "icon": "doc",
   "includeVars": false,
   "keepTime": false,
   "tags": [],
   "targetBlank": true,
   "title": "Runbooks",
   "tooltip": "",
   "type": "link",
   "url": "https://github.com/flowgauge/flowgauge/blob/main/runbooks"
  }
 ],
 "panels": [
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "DOWN if Prometheus cannot scrape one of the chosen servers.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "thresholds"
     },
     "custom": {},
     "mappings": [
      {
       "options": {
        "0": {
         "color": "red",
         "index": 0,
         "text": "DOWN"
        },
        "1": {
         "color": "green",
         "index": 1,
         "text": "UP"
        }
       },
       "type": "value"
      }
     ],
     "noValue": "no target",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "red",
        "value": null
       },
       {
        "color": "green",
        "value": 1
       }
      ]
     },
     "unit": "none"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 4,
    "w": 4,
    "x": 0,
    "y": 0
   },
   "id": 1,
   "options": {
    "colorMode": "background",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "reduceOptions": {
     "calcs": [
      "lastNotNull"
     ],
     "fields": "",
     "values": false
    },
    "showPercentChange": false,
    "textMode": "auto",
    "wideLayout": true
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "min(up{job=~\"$job\",instance=~\"$instance\"})",
     "format": "time_series",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "A"
    }
   ],
   "title": "Server",
   "transformations": [],
   "type": "stat"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "HTTP requests answered per second.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "thresholds"
     },
     "custom": {},
     "mappings": [],
     "noValue": "no data",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "reqps"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 4,
    "w": 4,
    "x": 4,
    "y": 0
   },
   "id": 2,
   "options": {
    "colorMode": "background",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "reduceOptions": {
     "calcs": [
      "lastNotNull"
     ],
     "fields": "",
     "values": false
    },
    "showPercentChange": false,
    "textMode": "auto",
    "wideLayout": true
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "A"
    }
   ],
   "title": "Requests",
   "transformations": [],
   "type": "stat"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Share of requests answered with 5xx. A drained database pool answers 400: see Pool time-outs.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "thresholds"
     },
     "custom": {},
     "decimals": 1,
     "mappings": [],
     "noValue": "no traffic",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 0.05
       }
      ]
     },
     "unit": "percentunit"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 4,
    "w": 4,
    "x": 8,
    "y": 0
   },
   "id": 3,
   "options": {
    "colorMode": "background",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "reduceOptions": {
     "calcs": [
      "lastNotNull"
     ],
     "fields": "",
     "values": false
    },
    "showPercentChange": false,
    "textMode": "auto",
    "wideLayout": true
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "(sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\",status=~\"5..\"}[$__rate_interval])) or 0 * sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) / (sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval])) > 0)",
     "format": "time_series",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "A"
    }
   ],
   "title": "Error ratio",
   "transformations": [],
   "type": "stat"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "95 % of requests are answered faster than this, artifacts and gateway left out.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "thresholds"
     },
     "custom": {},
     "mappings": [],
     "noValue": "no traffic",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 2.0
       }
      ]
     },
     "unit": "s"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 4,
    "w": 4,
    "x": 12,
    "y": 0
   },
   "id": 4,
   "options": {
    "colorMode": "background",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "reduceOptions": {
     "calcs": [
      "lastNotNull"
     ],
     "fields": "",
     "values": false
    },
    "showPercentChange": false,
    "textMode": "auto",
    "wideLayout": true
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.95, sum by (le) (increase(mlflow_http_request_duration_seconds_bucket{job=~\"$job\",instance=~\"$instance\",route!~\".*(artifact|gateway).*\"}[$__rate_interval]))) >= 0",
     "format": "time_series",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "A"
    }
   ],
   "title": "Latency, p95",
   "transformations": [],
   "type": "stat"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Database connections checked out, of those the worker may have. At 100 % requests wait, and after 30 s MLflow answers them with 400.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "thresholds"
     },
     "custom": {},
     "decimals": 0,
     "mappings": [],
     "noValue": "no pool",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 0.9
       }
      ]
     },
     "unit": "percentunit"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 4,
    "w": 4,
    "x": 16,
    "y": 0
   },
   "id": 5,
   "options": {
    "colorMode": "background",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "reduceOptions": {
     "calcs": [
      "lastNotNull"
     ],
     "fields": "",
     "values": false
    },
    "showPercentChange": false,
    "textMode": "auto",
    "wideLayout": true
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "max(mlflow_db_pool_connections{job=~\"$job\",instance=~\"$instance\"} / mlflow_db_pool_limit{job=~\"$job\",instance=~\"$instance\"})",
     "format": "time_series",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "A"
    }
   ],
   "title": "Pool use, fullest worker",
   "transformations": [],
   "type": "stat"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Alerts about what this dashboard shows that fire now; the Alerts dashboard names them.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "thresholds"
     },
     "custom": {},
     "mappings": [],
     "noValue": "no data",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 1
       }
      ]
     },
     "unit": "none"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 4,
    "w": 4,
    "x": 20,
    "y": 0
   },
   "id": 6,
   "options": {
    "colorMode": "background",
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "percentChangeColorMode": "standard",
    "reduceOptions": {
     "calcs": [
      "lastNotNull"
     ],
     "fields": "",
     "values": false
    },
    "showPercentChange": false,
    "textMode": "auto",
    "wideLayout": true
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "count(ALERTS{alertname=~\"MLflowApiFailing|MLflowArtifactUploadsFailing|MLflowHighErrorRate|MLflowHighLatency|MLflowPostgresConnectionPoolExhausted|MLflowPostgresConnectionPoolTimeouts|MLflowServerAbsent|MLflowServerDown\",alertstate=\"firing\"}) or vector(0)",
     "format": "time_series",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "A"
    }
   ],
   "title": "Alerts firing",
   "transformations": [],
   "type": "stat"
  },
  {
   "collapsed": false,
   "gridPos": {
    "h": 1,
    "w": 24,
    "x": 0,
    "y": 4
   },
   "id": 7,
   "panels": [],
   "title": "Requests",
   "type": "row"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "HTTP requests answered per second, by status code.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 40,
      "gradientMode": "none",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "normal"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "reqps"
    },
    "overrides": [
     {
      "matcher": {
       "id": "byRegexp",
       "options": "/^2/"
      },
      "properties": [
       {
        "id": "color",
        "value": {
         "fixedColor": "green",
         "mode": "fixed"
        }
       }
      ]
     },
     {
      "matcher": {
       "id": "byRegexp",
       "options": "/^3/"
      },
      "properties": [
       {
        "id": "color",
        "value": {
         "fixedColor": "blue",
         "mode": "fixed"
        }
       }
      ]
     },
     {
      "matcher": {
       "id": "byRegexp",
       "options": "/^4/"
      },
      "properties": [
       {
        "id": "color",
        "value": {
         "fixedColor": "orange",
         "mode": "fixed"
        }
       }
      ]
     },
     {
      "matcher": {
       "id": "byRegexp",
       "options": "/^5/"
      },
      "properties": [
       {
        "id": "color",
        "value": {
         "fixedColor": "red",
         "mode": "fixed"
        }
       }
      ]
     }
    ]
   },
   "gridPos": {
    "h": 8,
    "w": 12,
    "x": 0,
    "y": 5
   },
   "id": 8,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum by (status) (rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{status}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "Requests by status",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Share of requests that the server failed (5xx) and that it refused (4xx). The line is where MLflowHighErrorRate fires.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "dashed"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 0.05
       }
      ]
     },
     "unit": "percentunit"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 12,
    "x": 12,
    "y": 5
   },
   "id": 9,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "(sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\",status=~\"5..\"}[$__rate_interval])) or 0 * sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) / (sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval])) > 0)",
     "format": "time_series",
     "instant": false,
     "legendFormat": "failed, 5xx",
     "range": true,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "(sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\",status=~\"4..\"}[$__rate_interval])) or 0 * sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) / (sum(rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval])) > 0)",
     "format": "time_series",
     "instant": false,
     "legendFormat": "refused, 4xx",
     "range": true,
     "refId": "B"
    }
   ],
   "title": "Error ratio",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Each route's traffic now: who is busy, who fails, who is slow.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "thresholds"
     },
     "custom": {
      "align": "auto",
      "cellOptions": {
       "type": "auto"
      },
      "filterable": true,
      "inspect": false
     },
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": ""
    },
    "overrides": [
     {
      "matcher": {
       "id": "byName",
       "options": "Requests"
      },
      "properties": [
       {
        "id": "unit",
        "value": "reqps"
       }
      ]
     },
     {
      "matcher": {
       "id": "byName",
       "options": "Failed"
      },
      "properties": [
       {
        "id": "unit",
        "value": "percentunit"
       }
      ]
     },
     {
      "matcher": {
       "id": "byName",
       "options": "p50"
      },
      "properties": [
       {
        "id": "unit",
        "value": "s"
       }
      ]
     },
     {
      "matcher": {
       "id": "byName",
       "options": "p95"
      },
      "properties": [
       {
        "id": "unit",
        "value": "s"
       }
      ]
     },
     {
      "matcher": {
       "id": "byName",
       "options": "Route"
      },
      "properties": [
       {
        "id": "custom.width",
        "value": 420
       }
      ]
     },
     {
      "matcher": {
       "id": "byName",
       "options": "Failed"
      },
      "properties": [
       {
        "id": "thresholds",
        "value": {
         "mode": "absolute",
         "steps": [
          {
           "color": "green",
           "value": null
          },
          {
           "color": "red",
           "value": 0.05
          }
         ]
        }
       },
       {
        "id": "custom.cellOptions",
        "value": {
         "type": "color-text"
        }
       }
      ]
     },
     {
      "matcher": {
       "id": "byName",
       "options": "p95"
      },
      "properties": [
       {
        "id": "thresholds",
        "value": {
         "mode": "absolute",
         "steps": [
          {
           "color": "green",
           "value": null
          },
          {
           "color": "red",
           "value": 2.0
          }
         ]
        }
       },
       {
        "id": "custom.cellOptions",
        "value": {
         "type": "color-text"
        }
       }
      ]
     }
    ]
   },
   "gridPos": {
    "h": 8,
    "w": 24,
    "x": 0,
    "y": 13
   },
   "id": 10,
   "options": {
    "cellHeight": "sm",
    "showHeader": true,
    "sortBy": [
     {
      "desc": true,
      "displayName": "Requests"
     }
    ]
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum by (method, route) (rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "table",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "(sum by (method, route) (rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\",status=~\"5..\"}[$__rate_interval])) or 0 * sum by (method, route) (rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) / (sum by (method, route) (rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval])) > 0)",
     "format": "table",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "B"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.5, sum by (le, method, route) (increase(mlflow_http_request_duration_seconds_bucket{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) >= 0",
     "format": "table",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "C"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.95, sum by (le, method, route) (increase(mlflow_http_request_duration_seconds_bucket{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) >= 0",
     "format": "table",
     "instant": true,
     "legendFormat": "__auto",
     "range": false,
     "refId": "D"
    }
   ],
   "title": "Routes",
   "transformations": [
    {
     "id": "merge",
     "options": {}
    },
    {
     "id": "organize",
     "options": {
      "excludeByName": {
       "Time": true
      },
      "indexByName": {
       "Value #A": 2,
       "Value #B": 3,
       "Value #C": 4,
       "Value #D": 5,
       "method": 0,
       "route": 1
      },
      "renameByName": {
       "Value #A": "Requests",
       "Value #B": "Failed",
       "Value #C": "p50",
       "Value #D": "p95",
       "method": "Method",
       "route": "Route"
      }
     }
    }
   ],
   "type": "table"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "HTTP requests answered per second, by route.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "reqps"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 24,
    "x": 0,
    "y": 21
   },
   "id": 11,
   "options": {
    "legend": {
     "calcs": [
      "lastNotNull",
      "max"
     ],
     "displayMode": "table",
     "placement": "right",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum by (method, route) (rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{method}} {{route}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "Requests by route",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Requests answered with 4xx or 5xx per second, by route and status code.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "reqps"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 24,
    "x": 0,
    "y": 29
   },
   "id": 12,
   "options": {
    "legend": {
     "calcs": [
      "lastNotNull",
      "max"
     ],
     "displayMode": "table",
     "placement": "right",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum by (method, route, status) (rate(mlflow_http_requests_total{job=~\"$job\",instance=~\"$instance\",status=~\"[45]..\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{status}} {{method}} {{route}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "Failures by route",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "collapsed": false,
   "gridPos": {
    "h": 1,
    "w": 24,
    "x": 0,
    "y": 37
   },
   "id": 13,
   "panels": [],
   "title": "Latency",
   "type": "row"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Time from a request's first byte to its answer's last, artifacts and gateway left out. The line is where MLflowHighLatency fires on p95.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "dashed"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 2.0
       }
      ]
     },
     "unit": "s"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 12,
    "x": 0,
    "y": 38
   },
   "id": 14,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.99, sum by (le) (increase(mlflow_http_request_duration_seconds_bucket{job=~\"$job\",instance=~\"$instance\",route!~\".*(artifact|gateway).*\"}[$__rate_interval]))) >= 0",
     "format": "time_series",
     "instant": false,
     "legendFormat": "p99",
     "range": true,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.95, sum by (le) (increase(mlflow_http_request_duration_seconds_bucket{job=~\"$job\",instance=~\"$instance\",route!~\".*(artifact|gateway).*\"}[$__rate_interval]))) >= 0",
     "format": "time_series",
     "instant": false,
     "legendFormat": "p95",
     "range": true,
     "refId": "B"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.5, sum by (le) (increase(mlflow_http_request_duration_seconds_bucket{job=~\"$job\",instance=~\"$instance\",route!~\".*(artifact|gateway).*\"}[$__rate_interval]))) >= 0",
     "format": "time_series",
     "instant": false,
     "legendFormat": "p50",
     "range": true,
     "refId": "C"
    }
   ],
   "title": "Latency",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "How many requests took how long: a second band is a second kind of request.",
   "fieldConfig": {
    "defaults": {
     "custom": {
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "scaleDistribution": {
       "type": "linear"
      }
     },
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 12,
    "x": 12,
    "y": 38
   },
   "id": 15,
   "options": {
    "calculate": false,
    "cellGap": 1,
    "color": {
     "exponent": 0.5,
     "fill": "dark-orange",
     "mode": "scheme",
     "reverse": false,
     "scale": "exponential",
     "scheme": "Oranges",
     "steps": 64
    },
    "exemplars": {
     "color": "rgba(255,0,255,0.7)"
    },
    "filterValues": {
     "le": 1e-09
    },
    "legend": {
     "show": true
    },
    "rowsFrame": {
     "layout": "auto"
    },
    "tooltip": {
     "mode": "single",
     "showColorScale": true,
     "yHistogram": false
    },
    "yAxis": {
     "axisPlacement": "left",
     "reverse": false,
     "unit": "s"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum by (le) (increase(mlflow_http_request_duration_seconds_bucket{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "heatmap",
     "instant": false,
     "legendFormat": "{{le}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "Latency distribution",
   "transformations": [],
   "type": "heatmap"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "95 % of a route's requests are answered faster than this.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "s"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 24,
    "x": 0,
    "y": 46
   },
   "id": 16,
   "options": {
    "legend": {
     "calcs": [
      "lastNotNull",
      "max"
     ],
     "displayMode": "table",
     "placement": "right",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.95, sum by (le, method, route) (increase(mlflow_http_request_duration_seconds_bucket{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) >= 0",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{method}} {{route}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "p95 by route",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "collapsed": false,
   "gridPos": {
    "h": 1,
    "w": 24,
    "x": 0,
    "y": 54
   },
   "id": 17,
   "panels": [],
   "title": "Database pool",
   "type": "row"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Each worker has a pool of its own: one may be drained while the others idle. The line is where MLflowPostgresConnectionPoolExhausted fires.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "dashed"
      }
     },
     "mappings": [],
     "max": 1,
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 0.9
       }
      ]
     },
     "unit": "percentunit"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 12,
    "x": 0,
    "y": 55
   },
   "id": 18,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "mlflow_db_pool_connections{job=~\"$job\",instance=~\"$instance\"} / mlflow_db_pool_limit{job=~\"$job\",instance=~\"$instance\"}",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{pool}} of {{pid}} on {{instance}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "Pool use by worker",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Database connections checked out, and how many may be, over all workers. The database must allow at least the limit.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "short"
    },
    "overrides": [
     {
      "matcher": {
       "id": "byRegexp",
       "options": "/limit$/"
      },
      "properties": [
       {
        "id": "custom.lineStyle",
        "value": {
         "dash": [
          10,
          10
         ],
         "fill": "dash"
        }
       },
       {
        "id": "custom.fillOpacity",
        "value": 0
       }
      ]
     }
    ]
   },
   "gridPos": {
    "h": 8,
    "w": 12,
    "x": 12,
    "y": 55
   },
   "id": 19,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum by (pool) (mlflow_db_pool_connections{job=~\"$job\",instance=~\"$instance\"})",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{pool}} checked out",
     "range": true,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum by (pool) (mlflow_db_pool_limit{job=~\"$job\",instance=~\"$instance\"})",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{pool}} limit",
     "range": true,
     "refId": "B"
    }
   ],
   "title": "Connections",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Threads that wait for a database connection now.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "short"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 8,
    "x": 0,
    "y": 63
   },
   "id": 20,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "mlflow_db_pool_waiting{job=~\"$job\",instance=~\"$instance\"}",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{pool}} of {{pid}} on {{instance}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "Waiting for a connection",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "How long threads waited for a database connection.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "s"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 8,
    "x": 8,
    "y": 63
   },
   "id": 21,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.99, sum by (le, pool) (increase(mlflow_db_pool_wait_seconds_bucket{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) >= 0",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{pool}} p99",
     "range": true,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "histogram_quantile(0.95, sum by (le, pool) (increase(mlflow_db_pool_wait_seconds_bucket{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))) >= 0",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{pool}} p95",
     "range": true,
     "refId": "B"
    }
   ],
   "title": "Time to a connection",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Requests per minute that waited in vain. MLflow answers them with 400, so no error ratio shows them.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "opm"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 8,
    "x": 16,
    "y": 63
   },
   "id": 22,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "60 * sum by (pool) (rate(mlflow_db_pool_timeouts_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{pool}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "Pool time-outs",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "collapsed": false,
   "gridPos": {
    "h": 1,
    "w": 24,
    "x": 0,
    "y": 71
   },
   "id": 23,
   "panels": [],
   "title": "Work",
   "type": "row"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Runs and experiments created per minute.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "opm"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 6,
    "x": 0,
    "y": 72
   },
   "id": 24,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "60 * sum(rate(mlflow_runs_logged_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "runs",
     "range": true,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "60 * sum(rate(mlflow_experiments_created_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "experiments",
     "range": true,
     "refId": "B"
    }
   ],
   "title": "Runs and experiments",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Artifacts uploaded through the server per minute, and uploads that failed. Uploads straight to a bucket do not pass here.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "opm"
    },
    "overrides": [
     {
      "matcher": {
       "id": "byName",
       "options": "failed"
      },
      "properties": [
       {
        "id": "color",
        "value": {
         "fixedColor": "red",
         "mode": "fixed"
        }
       }
      ]
     }
    ]
   },
   "gridPos": {
    "h": 8,
    "w": 6,
    "x": 6,
    "y": 72
   },
   "id": 25,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "60 * sum(rate(mlflow_artifact_uploads_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "uploaded",
     "range": true,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "60 * sum(rate(mlflow_artifact_upload_failed_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "failed",
     "range": true,
     "refId": "B"
    }
   ],
   "title": "Artifact uploads",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "Bytes of artifacts received per second, also of uploads that failed.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "Bps"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 6,
    "x": 12,
    "y": 72
   },
   "id": 26,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum(rate(mlflow_artifact_upload_bytes_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))",
     "format": "time_series",
     "instant": false,
     "legendFormat": "received",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "Artifact traffic",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "HTTP requests being answered now. A rising floor means that requests hang.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "off"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "blue",
        "value": null
       }
      ]
     },
     "unit": "short"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 6,
    "x": 18,
    "y": 72
   },
   "id": 27,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "sum by (instance) (mlflow_http_requests_in_progress{job=~\"$job\",instance=~\"$instance\"})",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{instance}}",
     "range": true,
     "refId": "A"
    }
   ],
   "title": "In progress",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "collapsed": false,
   "gridPos": {
    "h": 1,
    "w": 24,
    "x": 0,
    "y": 80
   },
   "id": 28,
   "panels": [],
   "title": "Error budget",
   "type": "row"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "How many times faster than planned the error budget is being spent. The line is where MLflowErrorBudgetBurn1h fires, if both windows are over it.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "dashed"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 14.4
       }
      ]
     },
     "unit": "short"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 12,
    "x": 0,
    "y": 81
   },
   "id": 29,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "job:mlflow_error_budget_burn:rate5m{job=~\"$job\"}",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{job}} 5m",
     "range": true,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "job:mlflow_error_budget_burn:rate1h{job=~\"$job\"}",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{job}} 1h",
     "range": true,
     "refId": "B"
    }
   ],
   "title": "Burn over 5m and 1h",
   "transformations": [],
   "type": "timeseries"
  },
  {
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "description": "How many times faster than planned the error budget is being spent. The line is where MLflowErrorBudgetBurn6h fires, if both windows are over it.",
   "fieldConfig": {
    "defaults": {
     "color": {
      "mode": "palette-classic"
     },
     "custom": {
      "axisBorderShow": false,
      "axisCenteredZero": false,
      "axisColorMode": "text",
      "axisLabel": "",
      "axisPlacement": "auto",
      "barAlignment": 0,
      "drawStyle": "line",
      "fillOpacity": 10,
      "gradientMode": "opacity",
      "hideFrom": {
       "legend": false,
       "tooltip": false,
       "viz": false
      },
      "insertNulls": false,
      "lineInterpolation": "linear",
      "lineWidth": 1,
      "pointSize": 5,
      "scaleDistribution": {
       "log": 2,
       "type": "linear"
      },
      "showPoints": "never",
      "spanNulls": false,
      "stacking": {
       "group": "A",
       "mode": "none"
      },
      "thresholdsStyle": {
       "mode": "dashed"
      }
     },
     "mappings": [],
     "min": 0,
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 6.0
       }
      ]
     },
     "unit": "short"
    },
    "overrides": []
   },
   "gridPos": {
    "h": 8,
    "w": 12,
    "x": 12,
    "y": 81
   },
   "id": 30,
   "options": {
    "legend": {
     "calcs": [],
     "displayMode": "list",
     "placement": "bottom",
     "showLegend": true
    },
    "tooltip": {
     "mode": "multi",
     "sort": "desc"
    }
   },
   "pluginVersion": "12.1.0",
   "targets": [
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "job:mlflow_error_budget_burn:rate30m{job=~\"$job\"}",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{job}} 30m",
     "range": true,
     "refId": "A"
    },
    {
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "editorMode": "code",
     "expr": "job:mlflow_error_budget_burn:rate6h{job=~\"$job\"}",
     "format": "time_series",
     "instant": false,
     "legendFormat": "{{job}} 6h",
     "range": true,
     "refId": "B"
    }
   ],
   "title": "Burn over 30m and 6h",
   "transformations": [],
   "type": "timeseries"
  }
 ],
 "refresh": 30,
 "schemaVersion": 41,
 "tags": [
  "flowgauge",
  "mlflow"
 ],
 "templating": {
  "list": [
   {
    "current": {
     "text": "default",
     "value": "default"
    },
    "hide": 0,
    "includeAll": false,
    "label": "Data source",
    "multi": false,
    "name": "datasource",
    "options": [],
    "query": "prometheus",
    "refresh": 1,
    "sort": 1,
    "type": "datasource"
   },
   {
    "allValue": ".+",
    "current": {
     "text": [
      "mlflow"
     ],
     "value": [
      "mlflow"
     ]
    },
    "datasource": {
     "type": "prometheus",
     "uid": "${datasource}"
    },
    "hide": 0,
    "includeAll": true,
    "label": "Job",
    "multi": true,
    "name": "job",
    "options": [],
    "query": {
     "query": "label_values(mlflow_http_requests_total, job)",
     "refId": "variable-job"
    },
    "refresh": 2,
    "regex": "",
    "sort": 1,
    "type": "querry"
   },
   {
    "allValue": ".+",
    "current": {
     "text": [
      "All"
     ],
     "value": [
      "$__all"
     ]
    },
    "datasource": {
     "type": "prometheus",
     "uid": "${datasource}"
    },
    "hide": 0,
    "includeAll": true,
    "label": "Instance",
    "multi": true,
    "name": "instance",
    "options": [],
    "query": {
     "query": "label_values(mlflow_http_requests_total{job=~\"$job\"}, instance)",
     "refId": "variable-instance"
    },
    "refresh": 2,
    "regex": "",
    "sort": 1,
    "type": "query"
   }
  ]
 },
 "time": {
  "from": "now-1h",
  "to": "now"
 },
 "timepicker": {
  "refresh_intervals": [
   "5s",
   "10s",
   "30s",
   "1m",
   "5m",
   "15m",
   "30m",
   "1h",
   "2h",
   "1d"
  ]
 },
 "timezone": "browser",
 "title": "MLflow server",
 "uid": "flowgauge-server",
 "version": 0
}